"""Residual networks of a few layers, of any kernels, strides and activations, for tests of whole compilations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from brevitas_models.affine import ChannelAffine, fixed_point
from brevitas_models.blocks import BinaryBlock, Classifier
from brevitas_models.config import NetworkConfig
from brevitas_models.convolutions import FoldedConv2d
from brevitas_models.image import IMAGE_FRACTION, ImageQuant
from brevitas_models.quantizers import LearnedThreshold
from brevitas_models.rprelu import AnyPReLU, GridShift, PowerOfTwoPReLU


@dataclass(frozen=True)
class Layer:
    stride: int = 1
    kernel: int = 3
    activated: bool = False


class SmallNetwork(nn.Module):
    """Stem, blocks, pool and classifier as those of BiReal18; a block of stride 2 doubles the channels."""

    def __init__(self, config: NetworkConfig, layers: tuple[Layer, ...]):
        super().__init__()
        self.config = config
        self.image_quant = ImageQuant()
        self.stem = FoldedConv2d(3, config.width, 3, IMAGE_FRACTION)
        self.stem_quant = fixed_point(config, truncate=True)
        blocks, inputs = [], config.width
        for layer in layers:
            outputs = inputs * layer.stride
            blocks.append(BinaryBlock(inputs, outputs, layer.stride, config, layer.activated, layer.kernel))
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.pool_quant = fixed_point(config, truncate=True)
        self.classifier = Classifier(inputs, config.classes, config.residual_fraction)

    def forward(self, pixels):
        x = self.blocks(self.stem_quant(self.stem(self.image_quant(pixels))))
        return self.classifier(self.pool_quant(F.adaptive_avg_pool2d(x, 1)).flatten(1))


def random_images(count: int, size: int, seed: int = 0) -> np.ndarray:
    """uint8 [count, size, size, 3]: smooth blobs with noise, so that features are neither flat nor independent."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 4, 4, 3)).repeat(size // 4, axis=1).repeat(size // 4, axis=2)
    return np.clip(coarse + rng.integers(-40, 41, (count, size, size, 3)), 0, 255).astype(np.uint8)


def settle(network: nn.Module, images: np.ndarray, seed: int = 0) -> nn.Module:
    """Return ``network`` with random BatchNorms (also negative, zero, tiny), shifts, slopes and its own statistics."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, ChannelAffine):
                module.weight.uniform_(-1.0, 1.5)
                module.weight[0], module.weight[1] = 0.0, 1e-6
                module.bias.uniform_(-0.5, 0.5)
            elif isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
            elif isinstance(module, LearnedThreshold):
                module.threshold.uniform_(-0.5, 0.5)
            elif isinstance(module, GridShift):
                module.bias.uniform_(-1.5, 1.5)
            elif isinstance(module, PowerOfTwoPReLU):
                module.exponent.uniform_(-1.0, 8.0)
            elif isinstance(module, AnyPReLU):
                module.weight.uniform_(-0.2, 1.1)
        network.train()
        for part in np.array_split(images, 4):
            network(torch.from_numpy(part).permute(0, 3, 1, 2).float())
    return network.eval()
