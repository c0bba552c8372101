"""Convolutions of integer activations, with BatchNorm folded so that hardware needs integers only."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from brevitas.nn import QuantConv2d
from torch import Tensor, nn

from .affine import FixedAffine, update_statistics
from .kernels.moments import var_mean
from .quantizers import BinaryWeightQuant, Int8WeightQuant, StraightThrough


class FoldedConv2d(nn.Module):
    """8-bit convolution whose BatchNorm is folded into the weights before they are quantized.

    Training folds with the statistics of the batch, evaluation with the running ones.
    The bias is rounded to the accumulator's grid, so the sum is an integer times
    ``2^-input_fraction * weight scale`` and the rescale behind it a right shift.
    Input [N, C, H, W] on the grid ``2^-input_fraction``; output [N, O, H', W'], not requantized.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, input_fraction: int):
        super().__init__()
        self.conv = QuantConv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False, weight_quant=Int8WeightQuant)
        self.norm = nn.BatchNorm2d(outputs)
        self.input_fraction = input_fraction

    def folded(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Quantized weight [O, C, k, k], bias [O] on the accumulator grid, and the float weight."""
        slope = self.norm.weight / torch.sqrt(var + self.norm.eps)
        weight = self.conv.weight * slope.view(-1, 1, 1, 1)
        quantized = self.conv.weight_quant(weight)
        step = quantized.scale * 2.0**-self.input_fraction
        bias = StraightThrough.apply((self.norm.bias - mean * slope) / step, False) * step
        return quantized.value, bias, weight

    def forward(self, x: Tensor) -> Tensor:
        norm, padding = self.norm, self.conv.padding
        if self.training:
            raw = F.conv2d(x, self.conv.weight, padding=padding)
            var, mean = var_mean(raw)
            update_statistics(norm, mean, var, raw.numel() / raw.shape[1])
        else:
            mean, var = norm.running_mean, norm.running_var
        weight, bias, _ = self.folded(mean, var)
        if self.training:
            return F.conv2d(x, weight, bias, padding=padding)
        # sums can leave float32's exact range (2^24); from there on every residual saturates
        return F.conv2d(x.double(), weight.double(), bias.double(), padding=padding).float()

    def fused(self) -> QuantConv2d:
        """The same evaluation as one Brevitas layer, which is what is exported."""
        with torch.no_grad():
            _, bias, weight = self.folded(self.norm.running_mean, self.norm.running_var)
            conv = QuantConv2d(
                self.conv.in_channels,
                self.conv.out_channels,
                self.conv.kernel_size,
                padding=self.conv.padding,
                bias=True,
                weight_quant=Int8WeightQuant,
            )
            conv.weight.copy_(weight)
            conv.bias.copy_(bias)
        return conv.eval()


class BinaryScaledConv(nn.Module):
    """Convolution with 1-bit weights of integer activations, and BatchNorm as an integer multiply and shift.

    Hardware computes ``(m[c] * sum + b[c]) >> shift`` with multipliers of GAIN_BITS signed bits, so the gains are
    rounded to such a grid in training too. Input [N, C, H, W] on the grid ``2^-fraction``; output not requantized.
    """

    GAIN_BITS = 8

    def __init__(self, inputs: int, outputs: int, fraction: int, kernel: int = 1, stride: int = 1):
        super().__init__()
        self.conv = QuantConv2d(
            inputs, outputs, kernel, stride, padding=kernel // 2, bias=False, weight_quant=BinaryWeightQuant
        )
        nn.init.uniform_(self.conv.weight, -0.1, 0.1)
        self.norm = nn.BatchNorm2d(outputs)
        self.fraction = fraction

    def gain_step(self, slope: Tensor) -> Tensor:
        """The power of two of which all gains are multiples: the finest that holds the largest in GAIN_BITS."""
        peak = slope.detach().abs().amax().clamp_min(2.0**-20)
        return torch.exp2(torch.ceil(torch.log2(peak / (2 ** (self.GAIN_BITS - 1) - 1))))

    def constants(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
        """Gain and bias [O] on their grids: multiples of a power of two, and of that times ``2^-fraction``."""
        slope = self.norm.weight / torch.sqrt(var + self.norm.eps)
        step = self.gain_step(slope)
        gain = StraightThrough.apply(slope / step, False) * step
        grid = step * 2.0**-self.fraction
        return gain, StraightThrough.apply((self.norm.bias - mean * slope) / grid, False) * grid

    def forward(self, x: Tensor) -> Tensor:
        sums, norm = self.conv(x), self.norm
        if self.training:
            var, mean = var_mean(sums)
            update_statistics(norm, mean, var, sums.numel() / sums.shape[1])
        else:
            mean, var = norm.running_mean, norm.running_var
        gain, bias = self.constants(mean, var)
        return sums * gain.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)

    def fused(self) -> nn.Module:
        """The same evaluation as a plain Brevitas layer and two constants per channel, which is what is exported."""
        with torch.no_grad():
            gain, bias = self.constants(self.norm.running_mean, self.norm.running_var)
        return nn.Sequential(self.conv, FixedAffine(gain, bias)).eval()
