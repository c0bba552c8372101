"""The float twin of ReActNet-18: a teacher, and what its training is compared with. No hardware is made of it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import NetworkConfig
from .image import IMAGE_FRACTION

BLOCKS_PER_STAGE = 4


class TwinBlock(nn.Module):
    """Shift, clip, convolution, BatchNorm, + shortcut, shift, PReLU, shift: ReActNet's block without a quantizer.

    Input and output are [N, C, H, W], float.
    """

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1, inputs, 1, 1))
        self.filter = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        pooled = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = pooled if stride == 2 else nn.Identity()
        self.before, self.after = (nn.Parameter(torch.zeros(1, outputs, 1, 1)) for _ in range(2))
        self.bend = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.shortcut(x) + self.norm(self.filter(F.hardtanh(x + self.shift)))
        return self.bend(x + self.before) + self.after


class Twin18(nn.Module):
    """Takes pixels, float [N, 3, H, W] of value 0..255, and returns logits [N, classes]."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        self.stem = nn.Sequential(nn.Conv2d(3, config.width, 3, padding=1, bias=False), nn.BatchNorm2d(config.width))
        blocks, inputs = [], config.width
        for stage in range(4):
            for index in range(BLOCKS_PER_STAGE):
                blocks.append(TwinBlock(inputs, config.width << stage, 2 if stage and not index else 1))
                inputs = config.width << stage
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(inputs, config.classes)

    def scale_branches(self, scale: float) -> None:
        """Sets the BatchNorm scale of the branch of every block."""
        for block in self.blocks:
            nn.init.constant_(block.norm.weight, scale)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.blocks(self.stem((pixels - 128.0) * 2.0**-IMAGE_FRACTION))
        return self.classifier(F.adaptive_avg_pool2d(x, 1).flatten(1))
