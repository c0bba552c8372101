"""BinaryNet for CIFAR-10: sequential, thresholds instead of votes."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from brevitas.nn import QuantConv2d, QuantIdentity
from torch import Tensor, nn

from .affine import ChannelAffine
from .blocks import BinaryNetwork
from .config import PAD_VALUES, NetworkConfig
from .image import ImageQuant
from .quantizers import BinaryWeightQuant, BipolarActivation


class BnnLayer(nn.Module):
    """Binary convolution, BatchNorm, sign[, 2x2 max-pool]: in hardware a popcount and a threshold per channel.

    Input [N, C, H, W] bipolar (of the first layer: integers); output bipolar.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, pad_value: float | None, pool: bool):
        super().__init__()
        self.conv = QuantConv2d(inputs, outputs, kernel, bias=False, weight_quant=BinaryWeightQuant)
        nn.init.uniform_(self.conv.weight, -0.1, 0.1)
        self.norm = ChannelAffine(outputs)
        self.sign = QuantIdentity(act_quant=BipolarActivation)
        self.pad_value, self.pool = pad_value, pool
        self.register_buffer("one", torch.tensor(1.0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.pad_value is not None:
            x = F.pad(x, (1, 1, 1, 1), value=self.pad_value)
        bits = self.sign(self.norm(self.conv(x), self.one))
        return F.max_pool2d(bits, 2) if self.pool else bits

    def freeze(self) -> None:
        """Turns BatchNorm into its two constants per channel, for export."""
        with torch.no_grad():
            self.norm = self.norm.fixed(self.one)


class BnnOutput(nn.Module):
    """The last binary layer, whose sums times a power of two (a softer softmax) are the logits [N, classes]."""

    def __init__(self, inputs: int, classes: int):
        super().__init__()
        self.conv = QuantConv2d(inputs, classes, 1, bias=False, weight_quant=BinaryWeightQuant)
        nn.init.uniform_(self.conv.weight, -0.1, 0.1)
        self.scale = 2.0 ** -round(math.log2(math.sqrt(inputs)))

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv(x) * self.scale).flatten(1)


class BnnCifar10(BinaryNetwork):
    """BinaryNet (Courbariaux et al., 2016, section 2.3): six 3x3 convolutions, three dense layers.

    13.4 Mbit of weights at width 128.

    Takes pixels, float [N, 3, 32, 32] of value 0..255, and returns logits [N, classes]. Dense layers are convolutions
    over the whole map. The last one has no BatchNorm here: its sums are the logits.
    """

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        self.image_quant = ImageQuant()
        layers, inputs = [], 3
        for index, factor in enumerate((1, 1, 2, 2, 4, 4)):
            pad = PAD_VALUES[config.padding] if index else 0.0
            layers.append(BnnLayer(inputs, factor * config.width, 3, pad, pool=index % 2 == 1))
            inputs = factor * config.width
        layers.append(BnnLayer(inputs, 8 * config.width, 4, None, pool=False))
        layers.append(BnnLayer(8 * config.width, 8 * config.width, 1, None, pool=False))
        layers.append(BnnOutput(8 * config.width, config.classes))
        self.blocks = nn.Sequential(*layers)

    def scale_branches(self, scale: float) -> None:
        """Leaves it as it is: a sequential network has no branches."""

    def forward(self, pixels: Tensor) -> Tensor:
        return self.blocks(self.image_quant(pixels))
