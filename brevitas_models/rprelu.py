"""ReActNet's learned shift and activation, on the grid of the residual stream (Liu et al., ECCV 2020)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .affine import fixed_point
from .config import NetworkConfig
from .quantizers import StraightThrough, power_of_two_slope


class FixedShift(nn.Module):
    """x + bias[c]."""

    def __init__(self, bias: Tensor):
        super().__init__()
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


class GridShift(nn.Module):
    """x + b[c] with b rounded to the residual grid: the learned shift in front of a sign (section 4.2)."""

    def __init__(self, channels: int, config: NetworkConfig):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.bits, self.fraction = config.residual_bits, config.residual_fraction

    def rounded(self) -> Tensor:
        """b [1, C, 1, 1], a multiple of 2^-fraction within the residual's range."""
        steps, half = 2.0**self.fraction, 2.0 ** (self.bits - 1)
        grid = StraightThrough.apply((self.bias * steps).clamp(-half, half - 1), False)
        return (grid * (1.0 / steps)).view(1, -1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.rounded()

    def fused(self) -> FixedShift:
        return FixedShift(self.rounded().detach())


class PowerOfTwoPReLU(nn.Module):
    """PReLU per channel with slopes 2^-k, k = 0 .. ``largest``."""

    def __init__(self, channels: int, largest: int):
        super().__init__()
        self.exponent = nn.Parameter(torch.full((channels,), 2.0))
        self.largest = largest

    def slope(self) -> Tensor:
        return power_of_two_slope(self.exponent, self.largest)

    def forward(self, x: Tensor) -> Tensor:
        return F.prelu(x, self.slope())

    def fused(self) -> nn.PReLU:
        layer = nn.PReLU(len(self.exponent))
        with torch.no_grad():
            layer.weight.copy_(self.slope())
        return layer


class AnyPReLU(nn.PReLU):
    """PReLU per channel with slopes as they come: multiplications in hardware."""

    def slope(self) -> Tensor:
        return self.weight


class RPReLU(nn.Module):
    """Shift, PReLU, shift (equation 5) on the residual grid; slopes floor, as a right shift does."""

    def __init__(self, channels: int, config: NetworkConfig):
        super().__init__()
        self.before, self.after = GridShift(channels, config), GridShift(channels, config)
        shifts = config.slopes == "power_of_two"
        self.bend = PowerOfTwoPReLU(channels, config.residual_bits - 1) if shifts else AnyPReLU(channels)
        wide = config.model_copy(update={"residual_bits": config.residual_bits + 1})  # x + shift needs a bit more
        self.bend_quant = fixed_point(wide, truncate=True)
        self.quant = fixed_point(config)

    def constants(self) -> tuple[Tensor, Tensor, Tensor]:
        """First shift, slope and second shift, each [C], as they are applied."""
        return self.before.rounded().flatten(), self.bend.slope(), self.after.rounded().flatten()

    def forward(self, x: Tensor) -> Tensor:
        return self.quant(self.after(self.bend_quant(self.bend(self.before(x)))))
