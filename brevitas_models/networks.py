"""Networks on 32x32 images, most of them ResNet-18 with binary 3x3 convolutions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from brevitas import config as brevitas_config
from pydantic import ValidationError
from torch import Tensor, nn

from .affine import fixed_point
from .blocks import BinaryBlock, BinaryNetwork, Classifier, is_binary_weight
from .bnn import BnnCifar10
from .bwn import BwnBlock, rectified
from .config import NetworkConfig
from .convolutions import FoldedConv2d
from .errors import ModelError
from .image import IMAGE_FRACTION, ImageQuant
from .twin import Twin18
from .voters import parse_voter
from .xnor import XnorBlock

STRIDED = (4, 6, 12)  # of ReActNet-A's 13 pairs; at 32x32 pixels the stem's stride and that of pair 2 are left out


class ResidualNetwork(BinaryNetwork):
    """8-bit 3x3 stem without pooling, residual blocks, global average pool, 8-bit classifier.

    Takes pixels, float [N, 3, H, W] of value 0..255, and returns logits [N, classes], each an integer times a power of
    two.
    """

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        self.image_quant = ImageQuant()
        self.stem = FoldedConv2d(3, config.width, 3, IMAGE_FRACTION)
        self.stem_quant = fixed_point(config, truncate=True)
        blocks, inputs = [], config.width
        for outputs, stride, make in self.layout(config):
            blocks.append(make(inputs, outputs, stride))
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.pool_quant = fixed_point(config, truncate=True)
        self.classifier = Classifier(inputs, config.classes, config.residual_fraction)

    def layout(self, config: NetworkConfig) -> Iterator[tuple[int, int, Callable]]:
        """Output channels and stride of each block, and what makes it of (inputs, outputs, stride)."""
        raise NotImplementedError

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.image_quant(pixels)
        x = self.stem_quant(self.stem(x))
        x = self.blocks(x)
        x = self.pool_quant(F.adaptive_avg_pool2d(x, 1)).flatten(1)
        return self.classifier(x)


class ResNet18(ResidualNetwork):
    """Four stages of ``width`` times 1, 2, 4, 8 channels, on maps of 32, 16, 8 and 4 pixels."""

    block: Callable
    blocks_per_stage = 2

    def layout(self, config):
        for stage in range(4):
            for index in range(self.blocks_per_stage):
                yield config.width << stage, 2 if stage and not index else 1, partial(self.block, config=config)


class BiReal18(ResNet18):
    """Bi-Real Net with 16 one-convolution blocks (Liu et al., ECCV 2018) and PopBin votes."""

    block, blocks_per_stage = BinaryBlock, 4


class ReActNet18(BiReal18):
    """The same with learned shifts in front of the signs and RPReLU behind the additions (Liu et al., ECCV 2020)."""

    block = staticmethod(partial(BinaryBlock, activated=True))


class XnorNet18(ResNet18):
    """XNOR-Net's ResNet-18 (Rastegari et al., ECCV 2016)."""

    block = XnorBlock


class Bwn18(ResNet18):
    """ResNet-18 of 1-bit weights, whose activations are not binary (Rastegari et al., ECCV 2016)."""

    block = BwnBlock

    def __init__(self, config: NetworkConfig):
        super().__init__(config)
        self.stem_quant = rectified(config)


class ReActNetA(ResidualNetwork):
    """ReActNet on MobileNet's plan (Liu et al., ECCV 2020, section 4.1): 13 pairs of a 3x3 and a 1x1 convolution.

    Both have a shortcut, which averages where the stride is 2 and repeats the channels where they double. (The paper
    computes doubled channels as two convolutions of the same bits, each with the shortcut, and puts them side by side:
    one convolution of twice the outputs.) ``width`` times 2, 4, 4, 8, 8, 16 (six times), 32 and 32 channels.
    """

    def layout(self, config):
        config = config.model_copy(update={"shortcut": "duplicate"})
        three, one = (partial(BinaryBlock, config=config, activated=True, kernel=kernel) for kernel in (3, 1))
        inputs = config.width
        for pair, factor in enumerate((2, 4, 4, 8, 8, *[16] * 6, 32, 32), 1):
            yield inputs, 2 if pair in STRIDED else 1, three
            inputs = factor * config.width
            yield inputs, 1, one


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


NETWORKS = {
    "bireal18": BiReal18,
    "reactnet18": ReActNet18,
    "reactnet_a": ReActNetA,
    "xnornet18": XnorNet18,
    "bwn18": Bwn18,
    "bnn_cifar10": BnnCifar10,
    "twin18": Twin18,
}


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
