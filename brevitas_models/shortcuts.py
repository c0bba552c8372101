"""Shortcuts where the map changes: half the pixels, or twice the channels, or both."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .affine import fixed_point
from .config import NetworkConfig
from .convolutions import BinaryScaledConv, FoldedConv2d


class Repeat(nn.Module):
    """Channels once more behind themselves: [N, C, H, W] to [N, 2C, H, W]."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, x], dim=1)


class StageShortcut(nn.Module):
    """AvgPool2x2 (truncated) where the stride is 2, then twice the channels where they are.

    Those come from an 8-bit or a 1-bit 1x1 convolution with its BatchNorm and a right shift, or are repeated.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, config: NetworkConfig):
        super().__init__()
        self.pool = nn.AvgPool2d(2) if stride == 2 else nn.Identity()
        self.pool_quant = fixed_point(config, truncate=True) if stride == 2 else nn.Identity()
        if inputs == outputs or config.shortcut == "duplicate":
            self.conv = nn.Identity() if inputs == outputs else Repeat()
            self.conv_quant = nn.Identity()
            return
        if config.shortcut == "binary":
            self.conv = BinaryScaledConv(inputs, outputs, config.residual_fraction)
        else:
            self.conv = FoldedConv2d(inputs, outputs, 1, config.residual_fraction)
        self.conv_quant = fixed_point(config, truncate=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_quant(self.conv(self.pool_quant(self.pool(x))))
