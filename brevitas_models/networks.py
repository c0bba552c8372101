"""Networks: ResNet-18 on 32x32 images with binary 3x3 convolutions."""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F
from brevitas import config as brevitas_config
from pydantic import ValidationError
from torch import Tensor, nn

from .affine import fixed_point
from .blocks import BinaryBlock, BinaryNetwork, Classifier
from .bnn import BnnCifar10
from .config import NetworkConfig
from .convolutions import FoldedConv2d
from .errors import ModelError
from .image import IMAGE_FRACTION, ImageQuant
from .twin import Twin18
from .voters import parse_voter

BLOCKS_PER_STAGE = 4


class BiReal18(BinaryNetwork):
    """Bi-Real Net with 16 one-convolution blocks (Liu et al., ECCV 2018) and PopBin votes.

    Takes pixels, float [N, 3, H, W] of value 0..255, and returns logits [N, classes], each an
    integer times a power of two. 8-bit stem without pooling, four stages of ``width`` times
    1, 2, 4, 8 channels, global average pool, 8-bit classifier.
    """

    activated = False

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        self.image_quant = ImageQuant()
        self.stem = FoldedConv2d(3, config.width, 3, IMAGE_FRACTION)
        self.stem_quant = fixed_point(config, truncate=True)
        blocks, inputs = [], config.width
        for stage in range(4):
            outputs = config.width << stage
            for index in range(BLOCKS_PER_STAGE):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(BinaryBlock(inputs, outputs, stride, config, self.activated))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.pool_quant = fixed_point(config, truncate=True)
        self.classifier = Classifier(inputs, config.classes, config.residual_fraction)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.image_quant(pixels)
        x = self.stem_quant(self.stem(x))
        x = self.blocks(x)
        x = self.pool_quant(F.adaptive_avg_pool2d(x, 1)).flatten(1)
        return self.classifier(x)


class ReActNet18(BiReal18):
    """The same with learned shifts in front of the signs and RPReLU behind the additions (Liu et al., ECCV 2020)."""

    activated = True


def load_weights(network: nn.Module, state: dict[str, Tensor], strict: bool = True):
    """``load_state_dict`` that fills the parameters in place, as an optimizer that holds them relies on.

    Brevitas would build its quantizers anew, with new parameters, on the CPU.
    """
    before = brevitas_config.REINIT_ON_STATE_DICT_LOAD
    brevitas_config.REINIT_ON_STATE_DICT_LOAD = False
    try:
        return network.load_state_dict(state, strict=strict)
    finally:
        brevitas_config.REINIT_ON_STATE_DICT_LOAD = before


def deployed(network: nn.Module) -> nn.Module:
    """A copy for evaluation and export, made of plain Brevitas layers: BatchNorms folded or frozen."""
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        if hasattr(module, "freeze"):
            module.freeze()
        for name, child in list(module.named_children()):
            if hasattr(child, "fused"):
                setattr(module, name, child.fused())
    return network


NETWORKS = {"bireal18": BiReal18, "reactnet18": ReActNet18, "bnn_cifar10": BnnCifar10, "twin18": Twin18}


def build_network(config: NetworkConfig) -> nn.Module:
    """A freshly initialised network."""
    return NETWORKS[config.model](config)


def converted(network: nn.Module, **changes) -> nn.Module:
    """``network`` with other fields of its NetworkConfig and the same weights, in evaluation mode.

    A strategy or a voter that was not trained: strategy ptq votes on the popcounts of a network trained with none.
    Division numbers that ``network`` has not start at 1; a sampling voter takes every so many-th of its input channels.

    Raises:
        ModelError: the fields do not go together, or change what weights there are.
    """
    try:
        config = NetworkConfig(**{**network.config.model_dump(), **changes})
    except ValidationError as error:
        raise ModelError("; ".join(e["msg"].removeprefix("Value error, ") for e in error.errors())) from error
    result = build_network(config)
    try:
        missing, unexpected = load_weights(result, weights_for(config, network), strict=False)
    except RuntimeError as error:
        raise ModelError(f"weights of {network.config} do not fit {config}: train that network") from error
    strangers = [key for key in (*missing, *unexpected) if not key.endswith("log_alpha")]
    if strangers:
        raise ModelError(f"{config.model} with {changes} has other weights ({strangers[0]}): train that network")
    return result.eval()


def weights_for(config: NetworkConfig, network: nn.Module) -> dict[str, Tensor]:
    """Return the state dict of ``network`` for ``config``, whose sampling voter takes every so many-th channel."""
    state, sample = network.state_dict(), parse_voter(config.voter).sample
    if sample > 1 and parse_voter(network.config.voter).sample == 1:
        state = {name: w[:, ::sample] if is_binary_weight(name) else w for name, w in state.items()}
    return state


def is_binary_weight(name: str) -> bool:
    """Is ``name``, in a state dict, the weight of a binary convolution (not of its shortcut)?"""
    return name.startswith("blocks.") and name.count(".") == 3 and name.endswith(".conv.weight")


@torch.no_grad()
def settle_statistics(network: nn.Module, images: np.ndarray, batch: int = 250) -> None:
    """Replaces the running statistics of all BatchNorms by their mean over ``images``, uint8 [N, H, W, 3].

    As a whole pass in training mode does, layer behind layer; nothing else of the network changes.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    kept = [norm.momentum for norm in norms]
    parts = [
        images[start : start + batch] for start in range(0, len(images) - len(images) % batch or len(images), batch)
    ]
    network.train()
    for index, part in enumerate(parts):
        for norm in norms:
            norm.momentum = 1.0 / (index + 1)
        network(torch.from_numpy(part).permute(0, 3, 1, 2).float())
    for norm, momentum in zip(norms, kept):
        norm.momentum = momentum
    network.eval()
