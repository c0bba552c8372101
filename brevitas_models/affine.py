"""BatchNorm as constants per channel, and the fixed-point grid of the residual stream."""

from __future__ import annotations

import torch
from brevitas.nn import QuantIdentity
from torch import Tensor, nn

from .config import NetworkConfig
from .quantizers import FixedPointActivation, TruncatedActivation


def fixed_point(config: NetworkConfig, truncate: bool = False) -> QuantIdentity:
    """The residual grid, reached by rounding (constants) or by a right shift (accumulators)."""
    injector = TruncatedActivation if truncate else FixedPointActivation
    return QuantIdentity(
        act_quant=injector,
        bits=config.residual_bits,
        fraction=config.residual_fraction,
        bit_width=config.residual_bits,
    )


class ChannelGain(nn.Module):
    """A learned scale and bias per channel of ``gamma * x``, in the place of BatchNorm: no statistics.

    ``gamma``: a scalar or [C].
    """

    def __init__(self, channels: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def constants(self, gamma: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and bias per channel, float32 [C]."""
        return gamma * self.weight, self.bias

    def fixed(self, gamma: Tensor) -> FixedAffine:
        """The same with its constants as they are at evaluation."""
        return FixedAffine(*(constant.detach() for constant in self.constants(gamma)))

    def forward(self, x: Tensor, gamma: Tensor) -> Tensor:
        scale, bias = self.constants(gamma)
        return x * scale.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)


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

    def fixed(self, gamma: Tensor) -> FixedAffine:
        """The same with its constants as they are at evaluation."""
        return FixedAffine(*self.constants(gamma))

    def forward(self, x: Tensor, gamma: Tensor) -> Tensor:
        if self.training:
            return super().forward(x * gamma)
        scale, bias = self.constants(gamma)
        return x * scale.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)


class FixedAffine(nn.Module):
    """Constants per channel: x * scale + bias."""

    def __init__(self, scale: Tensor, bias: Tensor):
        super().__init__()
        self.register_buffer("scale", scale.view(1, -1, 1, 1))
        self.register_buffer("bias", bias.view(1, -1, 1, 1))

    def forward(self, x: Tensor, gamma: Tensor | None = None) -> Tensor:
        """``gamma``, which ChannelAffine takes, is in the scale already."""
        return x * self.scale + self.bias


@torch.no_grad()
def update_statistics(norm: nn.BatchNorm2d, mean: Tensor, var: Tensor, count: float) -> None:
    """Moves the running statistics towards those of a batch of ``count`` values a channel."""
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(var * (count / (count - 1)), norm.momentum)
