"""What becomes of exact sums: a multiplier and an offset per channel, a right shift, and saturation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import HardwareOp
from .cells import Memory, Table
from .cost import Cost, memory_cost
from .errors import NodeError
from .packing import grouped, words
from .stream import Interval, saturate, signed_bits

WIDEST_ACCUMULATOR = 64
BIAS_LAYOUT = "[block][e]: of output block * Pe + e"


@dataclass(kw_only=True)
class MultiplyShift(HardwareOp):
    """y = saturate((multiplier[c] * sum + bias[c]) >> shift) on ``out_bits`` bits.

    There are multipliers where ``scaled``; else they are 1. ``acc_bits`` hold every sum, its multiple, and that with
    the bias. The shift is arithmetic, so it floors.
    """

    acc_bits: int = 32
    out_bits: int = 8
    shift: int = 0
    scaled: int = 0

    planned = (*HardwareOp.planned, "acc_bits")

    def from_sums(self, sums: np.ndarray, bias=0, multiplier=1) -> np.ndarray:
        """Return the output for sums int [..., C]."""
        return saturate((multiplier * sums + bias) >> self.shift, self.out_bits)

    def from_sum_bounds(self, sums: Interval, bias=0, multiplier=1) -> list[Interval]:
        """Return the interval of the output for that of the sums."""
        sides = [multiplier * side + bias for side in sums]
        return [tuple(saturate(side(*sides) >> self.shift, self.out_bits) for side in (np.minimum, np.maximum))]

    def accumulator(self, sums: Interval, bias=0, multiplier=1) -> dict[str, int]:
        """Return ``acc_bits`` for the interval of the sums.

        Raises:
            NodeError: they are more than 64.
        """
        products = [multiplier * side for side in sums]
        low, high = np.minimum(*products), np.maximum(*products)
        bits = max(signed_bits(*sums, low, high, low + bias, high + bias), self.shift + 1)
        if bits > WIDEST_ACCUMULATOR:
            raise NodeError(f"its accumulator reaches {(low + bias).min()}..{(high + bias).max()}: use fewer bits")
        return {"acc_bits": bits}

    def scale_parameters(self) -> dict[str, int]:
        """Return the parameters of RTL modules and HLS headers that say how sums are scaled."""
        return {"OutBits": self.out_bits, "AccBits": self.acc_bits, "Shift": self.shift}

    def scale_memories(self, pe: int, bias, *multiplier) -> tuple[dict[str, int], tuple[Memory, ...]]:
        """Return the RTL parameters of the constants, ``pe`` of which are a word, and their memories."""
        parameters, memories = {}, [_memory("Bias", "biases", grouped(bias, pe), self.acc_bits)]
        if multiplier:
            bits = signed_bits(*multiplier)
            parameters = {"Scaled": 1, "MultiplierBits": bits}
            memories.append(_memory("Multiplier", "multipliers", grouped(*multiplier, pe), bits))
        return parameters, tuple(memories)

    def scale_tables(self, pe: int, bias, *multiplier) -> tuple[Table, ...]:
        """Return the HLS tables of the constants, ``pe`` of which are a word."""
        kind = "int32_t" if self.acc_bits <= 32 else "int64_t"
        return (
            Table("bias", kind, grouped(bias, pe), BIAS_LAYOUT),
            *(Table("multipliers", "int32_t", grouped(values, pe), BIAS_LAYOUT) for values in multiplier),
        )

    def scale_cost(self, pe: int, count: int) -> Cost:
        """Return the cost of the constants of ``count`` words, of what scales ``pe`` sums a beat, and of the output's
        two registers."""
        biases = memory_cost(count, pe * self.acc_bits, "distributed")
        shifted = Cost(lut=pe * 3 * self.out_bits, ff=pe * 2 * self.out_bits + 2)
        if not self.scaled:
            return biases + shifted
        gains = memory_cost(count, pe * 16, "distributed")
        return biases + gains + shifted + Cost(lut=pe * self.acc_bits + 10, ff=20, dsp=pe)


def _memory(name: str, suffix: str, values: np.ndarray, bits: int) -> Memory:
    return Memory(f"{name}File", suffix, words(values, bits, suffix), bits * values[0].size)
