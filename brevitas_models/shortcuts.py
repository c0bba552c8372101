"""Shortcuts across a stage: half the pixels, twice the channels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .affine import fixed_point
from .config import NetworkConfig
from .convolutions import BinaryScaledConv, FoldedConv2d


class Repeat(nn.Module):
    """Channels once more behind themselves: [N, C, H, W] to [N, 2C, H, W]."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, x], dim=1)


class StageShortcut(nn.Module):
    """AvgPool2x2 (truncated), then twice the channels.

    Those come from an 8-bit or a 1-bit 1x1 convolution with its BatchNorm and a right shift, or are repeated.
    """

    def __init__(self, inputs: int, outputs: int, config: NetworkConfig):
        super().__init__()
        self.pool_quant = fixed_point(config, truncate=True)
        if config.shortcut == "duplicate":
            self.conv, self.conv_quant = Repeat(), nn.Identity()
            return
        if config.shortcut == "binary":
            self.conv = BinaryScaledConv(inputs, outputs, config.residual_fraction)
        else:
            self.conv = FoldedConv2d(inputs, outputs, 1, config.residual_fraction)
        self.conv_quant = fixed_point(config, truncate=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_quant(self.conv(self.pool_quant(F.avg_pool2d(x, 2))))
