"""Quantizers of PopBin networks, as Brevitas injectors.

Each injector names a ``tensor_quant`` module that returns Brevitas' four values
(quantized value in real units, scale, zero point, bit width), so the ordinary Brevitas
layers use it and its QONNX export writes a standard ``BipolarQuant`` or ``Quant`` node.

All scales are powers of two: a rescale in hardware is then a shift, and every value below
is an integer times its scale, held exactly by float32.
"""

from __future__ import annotations

import math

import torch
from brevitas.inject import ExtendedInjector
from brevitas.inject.enum import FloatToIntImplType, QuantType
from brevitas.proxy import ActQuantProxyFromInjector, WeightQuantProxyFromInjector
from torch import Tensor, nn

from . import kernels
from .config import DIVISIONS, TrainConfig
from .kernels.fixed_point import FixedPointGrid, dense
from .kernels.moments import var_mean


def bipolar(x: Tensor) -> Tensor:
    """+1 where x >= 0, else -1. ``x + 0.0`` turns -0.0 into +0.0, so a tie is +1 as in QONNX."""
    return torch.copysign(torch.ones((), dtype=x.dtype, device=x.device), x + 0.0)


def mean_magnitude(weight: Tensor) -> Tensor:
    """XNOR-Net's scale of a binary layer, mean|W| (Rastegari et al., ECCV 2016, section 3.1).

    Summed in float64, where a sum of equal float32 numbers is exact: a checkpoint that keeps only
    the signs and this scale gives the same scale back, bit for bit.
    """
    return weight.abs().mean(dtype=torch.float64).float()


def channel_magnitudes(weight: Tensor) -> Tensor:
    """The same of each output channel, [O] of [O, ...], as XNOR-Net and BWN have it."""
    return weight.abs().flatten(1).mean(1, dtype=torch.float64).float()


STANDARD = 0.25  # deviation of standardised weights: 4 of them reach where a sign has no gradient


@torch.no_grad()
def standardise(weight: Tensor) -> None:
    """Gives the weights of each output channel the mean 0 and the deviation STANDARD, in place."""
    deviation, mean = torch.std_mean(weight, dim=(1, 2, 3), keepdim=True)
    weight.sub_(mean).mul_(STANDARD / deviation.clamp_min(1e-6))


class ApproxSign(torch.autograd.Function):
    """sign(u) with the gradient of Bi-Real Net's piecewise quadratic: 2 - 2|u| for |u| < 1.

    Source: Liu et al., Bi-Real Net (ECCV 2018), section 3.3.
    """

    @staticmethod
    def forward(ctx, u):
        ctx.save_for_backward(u)
        return bipolar(u)

    @staticmethod
    def backward(ctx, grad):
        (u,) = ctx.saved_tensors
        return grad * (2.0 - 2.0 * u.abs()).clamp_min(0.0)


class ClippedSign(torch.autograd.Function):
    """sign(w) with gradient 1 for |w| <= 1, else 0 (Courbariaux et al., 2016)."""

    @staticmethod
    def forward(ctx, w):
        ctx.save_for_backward(w)
        return bipolar(w)

    @staticmethod
    def backward(ctx, grad):
        (w,) = ctx.saved_tensors
        return grad * (w.abs() <= 1.0).to(grad.dtype)


class StraightThrough(torch.autograd.Function):
    """round (half to even) or floor, with the gradient of the identity."""

    @staticmethod
    def forward(ctx, x, floor: bool):
        return torch.floor(x) if floor else torch.round(x)

    @staticmethod
    def backward(ctx, grad):
        return grad, None


class _TensorQuant(nn.Module):
    """Holds the constants that every ``tensor_quant`` returns beside its value."""

    def __init__(self, bit_width: int):
        super().__init__()
        self.register_buffer("zero_point", torch.tensor(0.0), persistent=False)
        self.register_buffer("bit_width", torch.tensor(float(bit_width)), persistent=False)
        self.register_buffer("one", torch.tensor(1.0), persistent=False)


class BipolarSign(_TensorQuant):
    """Activation sign: x -> {-1, +1}, any shape, gradient of ApproxSign."""

    def __init__(self):
        super().__init__(bit_width=1)

    def forward(self, x: Tensor):
        return ApproxSign.apply(x), self.one, self.zero_point, self.bit_width


class BinaryWeight(_TensorQuant):
    """Weight sign: w -> {-1, +1}. XNOR-Net's scale mean|W| is applied behind the vote instead."""

    def __init__(self):
        super().__init__(bit_width=1)

    def forward(self, w: Tensor):
        return ClippedSign.apply(w), self.one, self.zero_point, self.bit_width


class PopBinVote(_TensorQuant):
    """The majority vote of PopBin: s = 2p - n -> +1 if s >= 0 else -1.

    The forward pass does not depend on the division number D; the gradient is that of
    ``ApproxSign(s / D)``. ``alpha = exp(log_alpha)`` stays positive and starts at 1; with
    ``train_alpha=False`` it stays there, which is the control experiment.

    Args:
        channels: c, input channels of the convolution (Voter.spread for voters that do not count all products).
        kernel: k, its kernel size.
        division: one of ``DIVISIONS`` or "one" for D = 1 (strategy simple-qat). rms is ``window`` times the sums' root
            mean square, found anew in every batch; a trainer may change the window (``TrainConfig.window``).
        threshold: the least sum that votes +1.
    """

    def __init__(self, channels: float, kernel: int, division: str, train_alpha: bool = True, threshold: int = 0):
        super().__init__(bit_width=1)
        if division not in (*DIVISIONS, "one"):
            raise ValueError(f"division {division!r} is unknown: use one of {', '.join(DIVISIONS)}")
        self.division, self.threshold = division, threshold
        self.span = float(channels * (kernel * kernel if "k2" in division or division == "minmax" else 1))
        if division == "rms":
            self.register_buffer("window", torch.tensor(TrainConfig().window[0]), persistent=False)
        if "alpha" in division:
            self.log_alpha = nn.Parameter(torch.zeros(()), requires_grad=train_alpha)

    def divisor(self, s: Tensor) -> Tensor | float:
        """D, a scalar of 1 or more, for the sums s, less their threshold.

        Sums are whole numbers: below 1 only a tie would get a gradient, and that without bound. An alpha that runs to 0
        ends at D = 1 (simple-qat) and can come back, as its own gradient passes the limit.
        """
        if self.division == "one":
            return 1.0
        if self.division == "minmax":
            return self.span
        if self.division == "rms":
            return (self.window * torch.linalg.vector_norm(s.detach()) / math.sqrt(s.numel())).clamp_min(1.0)
        alpha = self.log_alpha.exp()
        divisor = self.span + alpha if self.division.endswith("+alpha") else self.span * alpha
        return divisor + (divisor.clamp_min(1.0) - divisor).detach()

    def forward(self, s: Tensor):
        s = s - self.threshold if self.threshold else s
        vote = ApproxSign.apply(s / self.divisor(s)) if self.training else bipolar(s)
        return vote, self.one, self.zero_point, self.bit_width


class VoteThreshold(nn.Module):
    """Thresholds of a majority vote: sums [N, C, H, W] minus a whole number per channel."""

    def of(self, s: Tensor) -> Tensor:
        """The least sum that votes +1, [C]."""
        raise NotImplementedError

    def forward(self, s: Tensor) -> Tensor:
        return s - self.of(s).view(1, -1, 1, 1)


class MeanThreshold(VoteThreshold):
    """The channel's mean sum, of the batch in training, else of past batches: it votes either way about as often."""

    MOMENTUM = 0.1

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))

    def of(self, s: Tensor) -> Tensor:
        mean = self.mean
        if self.training:
            _, mean = var_mean(s)
            self.mean.lerp_(mean.detach(), self.MOMENTUM)
        return StraightThrough.apply(mean, False)


class LearnedThreshold(VoteThreshold):
    """Learned, 0 at the start.

    The parameter is in units of sqrt(n), the spread of a sum of n random products, so that it moves as fast as others.
    """

    def __init__(self, channels: int, n: int):
        super().__init__()
        self.threshold = nn.Parameter(torch.zeros(channels))
        self.n = n

    def of(self, s: Tensor) -> Tensor:
        return StraightThrough.apply((self.threshold * math.sqrt(self.n)).clamp(-self.n, self.n), False)


def vote_threshold(kind: str, channels: int, n: int) -> nn.Module:
    """What is subtracted from sums of n products in front of a vote (config.THRESHOLDS): nothing, of a majority."""
    if kind == "majority":
        return nn.Identity()
    return MeanThreshold(channels) if kind == "mean" else LearnedThreshold(channels, n)


class FixedPoint(_TensorQuant):
    """Signed fixed point: x -> clamp(round(x / scale)) * scale, saturation with zero gradient.

    Args:
        bits: width including the sign; the range is [-2^(bits-1), 2^(bits-1) - 1] * scale.
        fraction: scale = 2^-fraction.
        floor: truncate towards minus infinity, as an arithmetic right shift does.
    """

    def __init__(self, bits: int, fraction: int, floor: bool = False):
        super().__init__(bit_width=bits)
        self.low, self.high = float(-(2 ** (bits - 1))), float(2 ** (bits - 1) - 1)
        self.steps = 2.0**fraction
        self.floor = floor
        self.register_buffer("scale", torch.tensor(2.0**-fraction), persistent=False)

    def forward(self, x: Tensor):
        if self.training and kernels.usable(x.device) and dense(x):
            return (
                FixedPointGrid.apply(x, self.low, self.high, self.steps, self.floor),
                self.scale,
                self.zero_point,
                self.bit_width,
            )
        grid = (x * self.steps).clamp(self.low, self.high)
        value = StraightThrough.apply(grid, self.floor) * (1.0 / self.steps)
        return value, self.scale, self.zero_point, self.bit_width


class Rectified(FixedPoint):
    """Unsigned fixed point: ReLU, as what is below 0 saturates there; the range is [0, 2^bits - 1] * scale."""

    def __init__(self, bits: int, fraction: int, floor: bool = False):
        super().__init__(bits, fraction, floor)
        self.low, self.high = 0.0, float(2**bits - 1)


def power_of_two_slope(exponent: Tensor, largest: int) -> Tensor:
    """2^-k for the whole number k in 0..largest next to ``exponent``, with the gradient as if it were not rounded."""
    return torch.exp2(-StraightThrough.apply(exponent.clamp(0.0, float(largest)), False))


class PowerOfTwoWeight(_TensorQuant):
    """Weights on the finest power-of-two grid that holds their largest magnitude in ``bits``."""

    def __init__(self, bits: int):
        super().__init__(bit_width=bits)
        self.high = float(2 ** (bits - 1) - 1)

    def forward(self, w: Tensor):
        peak = w.detach().abs().amax().clamp_min(2.0**-20)
        scale = torch.exp2(torch.ceil(torch.log2(peak / self.high)))
        value = StraightThrough.apply((w / scale).clamp(-self.high, self.high), False) * scale
        return value, scale, self.zero_point, self.bit_width


class _Activation(ExtendedInjector):
    proxy_class = ActQuantProxyFromInjector
    signed = True
    narrow_range = False
    float_to_int_impl_type = FloatToIntImplType.ROUND


class _Weight(ExtendedInjector):
    proxy_class = WeightQuantProxyFromInjector
    signed = True
    narrow_range = True
    float_to_int_impl_type = FloatToIntImplType.ROUND


class BipolarActivation(_Activation):
    """``QuantIdentity(act_quant=BipolarActivation)``: the sign in front of a binary layer."""

    quant_type = QuantType.BINARY
    bit_width = 1
    tensor_quant = BipolarSign


class BinaryWeightQuant(_Weight):
    """1-bit weights of value -1 and +1."""

    quant_type = QuantType.BINARY
    bit_width = 1
    tensor_quant = BinaryWeight


class Int8WeightQuant(_Weight):
    """8-bit weights, one power-of-two scale a tensor, range -127..127."""

    quant_type = QuantType.INT
    bit_width = 8
    bits = 8
    tensor_quant = PowerOfTwoWeight


class MajorityVote(_Activation):
    """PopBin's quantizer of a popcount; pass ``channels``, ``kernel`` and ``division``."""

    quant_type = QuantType.BINARY
    bit_width = 1
    division = "c*alpha"
    train_alpha = True
    threshold = 0
    tensor_quant = PopBinVote


class FixedPointActivation(_Activation):
    """Signed fixed point; pass ``bits`` and ``fraction``."""

    quant_type = QuantType.INT
    floor = False
    tensor_quant = FixedPoint


class TruncatedActivation(FixedPointActivation):
    """Signed fixed point reached by an arithmetic right shift."""

    float_to_int_impl_type = FloatToIntImplType.FLOOR
    floor = True


class RectifiedActivation(TruncatedActivation):
    """ReLU and unsigned fixed point, reached by an arithmetic right shift."""

    signed = False
    tensor_quant = Rectified
