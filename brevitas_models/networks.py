"""Networks: ResNet-18 on 32x32 images with binary 3x3 convolutions."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from brevitas import config as brevitas_config
from torch import Tensor, nn

from .affine import fixed_point
from .blocks import BinaryBlock, Classifier
from .bnn import BnnCifar10
from .config import NetworkConfig
from .convolutions import FoldedConv2d
from .image import IMAGE_FRACTION, ImageQuant

BLOCKS_PER_STAGE = 4


class BiReal18(nn.Module):
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

    @torch.no_grad()
    def clip_latent_weights(self) -> None:
        """Keeps the float weights behind the signs in [-1, 1], where their gradient lives."""
        for block in self.blocks:
            block.conv.weight.clamp_(-1.0, 1.0)


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


NETWORKS = {"bireal18": BiReal18, "reactnet18": ReActNet18, "bnn_cifar10": BnnCifar10}


def build_network(config: NetworkConfig) -> nn.Module:
    """A freshly initialised network."""
    return NETWORKS[config.model](config)
