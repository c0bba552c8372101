"""Layers of a PopBin network: folded integer convolution, binary block, stage shortcut."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear
from torch import Tensor, nn

from .config import NetworkConfig
from .quantizers import (
    BinaryWeightQuant,
    BipolarActivation,
    FixedPointActivation,
    Int8WeightQuant,
    MajorityVote,
    StraightThrough,
    TruncatedActivation,
)

IMAGE_FRACTION = 7  # an image value is (pixel - 128) / 128


def fixed_point(config: NetworkConfig, truncate: bool = False) -> QuantIdentity:
    """The residual grid, reached by rounding (constants) or by a right shift (accumulators)."""
    injector = TruncatedActivation if truncate else FixedPointActivation
    return QuantIdentity(
        act_quant=injector,
        bits=config.residual_bits,
        fraction=config.residual_fraction,
        bit_width=config.residual_bits,
    )


class ChannelAffine(nn.BatchNorm2d):
    """BatchNorm of ``gamma * x``; one multiply and one add per channel when evaluated.

    Evaluation spells the two steps out, so that PyTorch and the exported graph do the same
    float32 operations and round to the same constants.
    """

    def constants(self, gamma: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and bias per channel, float32 [C], from the running statistics."""
        slope = self.weight.double() / torch.sqrt(self.running_var.double() + self.eps)
        bias = self.bias.double() - self.running_mean.double() * slope
        return (gamma.double() * slope).float(), bias.float()

    def forward(self, x: Tensor, gamma: Tensor) -> Tensor:
        if self.training:
            return super().forward(x * gamma)
        scale, bias = self.constants(gamma)
        return x * scale.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)


class FixedAffine(nn.Module):
    """``ChannelAffine`` with its constants as they are at evaluation."""

    def __init__(self, scale: Tensor, bias: Tensor):
        super().__init__()
        self.register_buffer("scale", scale.view(1, -1, 1, 1))
        self.register_buffer("bias", bias.view(1, -1, 1, 1))

    def forward(self, x: Tensor, gamma: Tensor) -> Tensor:
        return x * self.scale + self.bias


class FoldedConv2d(nn.Module):
    """8-bit convolution whose BatchNorm is folded into the weights before they are quantized.

    Training folds with the statistics of the batch, evaluation with the running ones.
    The bias is rounded to the accumulator's grid, so the sum is an integer times
    ``2^-input_fraction * weight scale`` and the rescale behind it a right shift.
    Input [N, C, H, W] on the grid ``2^-input_fraction``; output [N, O, H', W'], not requantized.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, input_fraction: int):
        super().__init__()
        self.conv = QuantConv2d(
            inputs, outputs, kernel, padding=kernel // 2, bias=False, weight_quant=Int8WeightQuant
        )
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
            var, mean = torch.var_mean(raw, dim=(0, 2, 3), unbiased=False)
            with torch.no_grad():
                count = raw.numel() / raw.shape[1]
                norm.running_mean.lerp_(mean, norm.momentum)
                norm.running_var.lerp_(var * (count / (count - 1)), norm.momentum)
        else:
            mean, var = norm.running_mean, norm.running_var
        weight, bias, _ = self.folded(mean, var)
        return F.conv2d(x, weight, bias, padding=padding)

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


class StageShortcut(nn.Module):
    """AvgPool2x2 (truncated), 8-bit 1x1 convolution with its BatchNorm folded, right shift."""

    def __init__(self, inputs: int, outputs: int, config: NetworkConfig):
        super().__init__()
        self.pool_quant = fixed_point(config, truncate=True)
        self.conv = FoldedConv2d(inputs, outputs, 1, config.residual_fraction)
        self.conv_quant = fixed_point(config, truncate=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_quant(self.conv(self.pool_quant(F.avg_pool2d(x, 2))))


class BinaryBlock(nn.Module):
    """sign, binary 3x3 convolution, vote (or popcount), BatchNorm, + shortcut, saturate.

    Input and output are [N, C, H, W] on the residual grid. The padding of the binary
    convolution is -1, the same bit that a hardware window is filled with.
    """

    kernel = 3

    def __init__(self, inputs: int, outputs: int, stride: int, config: NetworkConfig):
        super().__init__()
        self.sign = QuantIdentity(act_quant=BipolarActivation)
        self.conv = QuantConv2d(
            inputs, outputs, self.kernel, stride=stride, bias=False, weight_quant=BinaryWeightQuant
        )
        nn.init.uniform_(self.conv.weight, -0.1, 0.1)
        self.vote = vote(inputs, self.kernel, config)
        self.norm = ChannelAffine(outputs)
        self.branch_quant = fixed_point(config)
        self.shortcut = StageShortcut(inputs, outputs, config) if stride == 2 else nn.Identity()
        self.join_quant = fixed_point(config)

    def gamma(self) -> Tensor:
        """XNOR-Net's scale of the layer: the mean magnitude of its float weights.

        Summed in float64, where a sum of equal float32 numbers is exact: a checkpoint that keeps only
        the signs and this scale gives the same scale back, bit for bit.
        """
        return self.conv.weight.detach().abs().mean(dtype=torch.float64).float()

    def forward(self, x: Tensor) -> Tensor:
        bits = F.pad(self.sign(x), (1, 1, 1, 1), value=-1.0)
        votes = self.vote(self.conv(bits))
        branch = self.branch_quant(self.norm(votes, self.gamma()))
        return self.join_quant(self.shortcut(x) + branch)

    def freeze(self) -> None:
        """Turns BatchNorm into its two constants per channel, for export."""
        with torch.no_grad():
            self.norm = FixedAffine(*self.norm.constants(self.gamma()))


def vote(inputs: int, kernel: int, config: NetworkConfig) -> nn.Module:
    """What stands behind the popcount: PopBin's majority vote, or nothing."""
    if config.strategy == "none":
        return nn.Identity()
    return QuantIdentity(
        act_quant=MajorityVote,
        channels=inputs,
        kernel=kernel,
        division=config.division,
        train_alpha=config.train_alpha,
    )


class Classifier(QuantLinear):
    """8-bit dense layer with its bias rounded to the accumulator grid.

    Input [N, C] on the grid ``2^-input_fraction``; logits [N, classes] are exact integers times
    ``2^-input_fraction * weight scale``.
    """

    def __init__(self, inputs: int, classes: int, input_fraction: int):
        super().__init__(inputs, classes, bias=True, weight_quant=Int8WeightQuant)
        self.input_fraction = input_fraction

    def rounded_bias(self, scale: Tensor) -> Tensor:
        step = scale * 2.0**-self.input_fraction
        return StraightThrough.apply(self.bias / step, False) * step

    def forward(self, x: Tensor) -> Tensor:
        weight = self.quant_weight()
        return F.linear(x, weight.value, self.rounded_bias(weight.scale))

    def fused(self) -> QuantLinear:
        """The same evaluation as one plain Brevitas layer, which is what is exported."""
        layer = QuantLinear(self.in_features, self.out_features, bias=True, weight_quant=Int8WeightQuant)
        with torch.no_grad():
            layer.weight.copy_(self.weight)
            layer.bias.copy_(self.rounded_bias(self.quant_weight().scale))
        return layer.eval()
