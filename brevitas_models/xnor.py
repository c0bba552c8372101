"""XNOR-Net's blocks: BatchNorm, sign, binary convolution, scales (Rastegari et al., ECCV 2016, section 3.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from brevitas.nn import QuantConv2d, QuantIdentity
from torch import Tensor, nn

from .affine import ChannelAffine, fixed_point
from .config import PAD_VALUES, NetworkConfig
from .quantizers import BinaryWeightQuant, BipolarActivation, channel_magnitudes
from .shortcuts import StageShortcut
from .sums import whole_sums

MOMENTUM = 0.1  # of the mean of K


class XnorConv(nn.Module):
    """BatchNorm, sign, binary convolution, times alpha of each output channel and K of each pixel.

    alpha is mean|w|, with the weights in units of 1/sqrt(n): signs have the variance 1, so an output has the size of
    mean|w|. K is the mean magnitude of a window's inputs, a map: the product of two streams, for which there is no
    hardware here. ``activation_scale``: none leaves K out; map has it, to train; mean has the mean of K over what was
    trained on, a constant of the layer, in its place.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, config: NetworkConfig):
        super().__init__()
        self.norm, self.sign = ChannelAffine(inputs), QuantIdentity(act_quant=BipolarActivation)
        self.conv = QuantConv2d(inputs, outputs, 3, stride, bias=False, weight_quant=BinaryWeightQuant)
        nn.init.uniform_(self.conv.weight, -0.5, 0.5)
        self.pad_value, self.stride, self.kind = PAD_VALUES[config.padding], stride, config.activation_scale
        if self.kind != "none":
            self.register_buffer("mean_scale", torch.ones(()))
        self.register_buffer("one", torch.tensor(1.0), persistent=False)
        self.register_buffer("fixed_gain", None, persistent=False)

    def gain(self) -> Tensor:
        """What the sums of a channel are multiplied by, [O]."""
        if self.fixed_gain is not None:
            return self.fixed_gain
        alpha = channel_magnitudes(self.conv.weight) * self.conv.weight[0].numel() ** -0.5
        return alpha * self.mean_scale if self.kind == "mean" else alpha

    def scale_map(self, x: Tensor) -> Tensor:
        """K [N, 1, H', W'] of what the sign is taken of."""
        scales = F.avg_pool2d(x.abs().mean(1, keepdim=True), 3, self.stride, padding=1)
        if self.training:
            self.mean_scale.lerp_(scales.detach().mean(), MOMENTUM)
        return scales

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x, self.one)
        bits = F.pad(self.sign(x), (1, 1, 1, 1), value=self.pad_value)
        exact = self.training or bits.is_cuda
        sums = whole_sums(bits, self.conv.quant_weight().value, self.stride) if exact else self.conv(bits)
        scaled = sums * self.gain().view(1, -1, 1, 1)
        return scaled * self.scale_map(x) if self.kind == "map" else scaled

    def freeze(self) -> None:
        """Turns BatchNorm and the scales into constants per channel, for export."""
        with torch.no_grad():
            self.norm, self.fixed_gain = self.norm.fixed(self.one), self.gain()


class XnorBlock(nn.Module):
    """Two of them, + shortcut, saturate; input and output are [N, C, H, W] on the residual grid."""

    def __init__(self, inputs: int, outputs: int, stride: int, config: NetworkConfig):
        super().__init__()
        self.first, self.second = XnorConv(inputs, outputs, stride, config), XnorConv(outputs, outputs, 1, config)
        self.branch_quant = fixed_point(config)
        changes = stride == 2 or inputs != outputs
        self.shortcut = StageShortcut(inputs, outputs, stride, config) if changes else nn.Identity()
        self.join_quant = fixed_point(config)

    def scale_branch(self, scale: float) -> None:
        """Draws the last weights anew, so that the branch has this size."""
        nn.init.uniform_(self.second.conv.weight, -2 * scale, 2 * scale)

    def forward(self, x: Tensor) -> Tensor:
        return self.join_quant(self.shortcut(x) + self.branch_quant(self.second(self.first(x))))
