"""What becomes of exact sums: a multiplier and an offset per channel, a right shift, and saturation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import HardwareOp
from .cells import Memory, Table, integer_type
from .cost import Cost
from .errors import NodeError
from .packing import grouped, words
from .stream import Interval, saturate, signed_bits

WIDEST_ACCUMULATOR = 64
MULTIPLIER_BITS = 12  # of a multiplier, as costs take it
BIAS_LAYOUT = "[block][e]: of output block * Pe + e"


@dataclass(kw_only=True)
class MultiplyShift(HardwareOp):
    """y = saturate((multiplier[c] * sum + bias[c]) >> shift) on ``out_bits`` bits.

    There are multipliers where ``scaled``; else they are 1. ``acc_bits`` hold every sum, its multiple, and that with
    the bias. The shift is arithmetic, so it floors. With ``even`` the bias holds the half of what is dropped, and what
    was halfway goes to the even neighbour, as numpy's and ONNX' rounding does.
    """

    acc_bits: int = 32
    out_bits: int = 8
    shift: int = 0
    even: int = 0
    scaled: int = 0

    planned = (*HardwareOp.planned, "acc_bits")

    def from_sums(self, sums: np.ndarray, bias=0, multiplier=1) -> np.ndarray:
        """Return the output for sums int [..., C]."""
        return self.shifted(multiplier * sums + bias)

    def shifted(self, totals: np.ndarray) -> np.ndarray:
        """Return numbers int [...] without their low ``shift`` bits, saturated."""
        return saturate(shifted(totals, self.shift, self.even), self.out_bits)

    def from_sum_bounds(self, sums: Interval, bias=0, multiplier=1) -> list[Interval]:
        """Return the interval of the output for that of the sums."""
        *sums, bias, multiplier = _unlimited(*sums, bias, multiplier)
        sides = [multiplier * side + bias for side in sums]
        return [tuple(self.shifted(side(*sides)).astype(np.int64) for side in (np.minimum, np.maximum))]

    def accumulator(self, sums: Interval, bias=0, multiplier=1) -> dict[str, int]:
        """Return ``acc_bits`` for the interval of the sums.

        Raises:
            NodeError: they are more than 64.
        """
        *sums, bias, multiplier = _unlimited(*sums, bias, multiplier)
        products = [multiplier * side for side in sums]
        low, high = np.minimum(*products), np.maximum(*products)
        bits = max(signed_bits(*sums, low, high, low + bias, high + bias), self.shift + 1)
        if bits > WIDEST_ACCUMULATOR:
            raise NodeError(f"its accumulator reaches {(low + bias).min()}..{(high + bias).max()}: use fewer bits")
        return {"acc_bits": bits}

    def scale_parameters(self) -> dict[str, int]:
        """Return the parameters of RTL modules and HLS headers that say how sums are scaled."""
        return {"OutBits": self.out_bits, "AccBits": self.acc_bits, "Shift": self.shift, "Even": self.even}

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
            *(Table("multipliers", integer_type(m, 32), grouped(m, pe), BIAS_LAYOUT) for m in multiplier),
        )

    def scale_cost(self, pe: int, count: int, sum_bits: int, sets: int = 1) -> Cost:
        """Return the cost of adding up ``pe`` sums of ``sum_bits`` bits at a time, of their constants, ``count`` words
        and as many ``sets`` of multipliers, and of what scales them.

        Lines through Yosys 0.70's figures (benchmarks/cost_points.py).
        """
        cost = Cost(lut=15, ff=10) + table_cost(count, pe * self.acc_bits)
        clipped = 1.8 if self.acc_bits - self.shift > self.out_bits else 1.0  # LUTs a bit
        lane = Cost(lut=self.acc_bits + clipped * self.out_bits, ff=2 * self.out_bits)
        if self.scaled:
            cost = cost + table_cost(count * sets, pe * MULTIPLIER_BITS)
            lane = lane + Cost(lut=sum_bits + 10, ff=sum_bits, dsp=1)
        else:
            lane = lane + Cost(ff=self.acc_bits)
        return cost + lane.times(pe)


def _unlimited(*values) -> list[np.ndarray]:
    """Return arrays of Python's integers, which do not wrap as int64 does."""
    return [np.asarray(value, object) for value in values]


def shifted(totals: np.ndarray, shift: int, even: int) -> np.ndarray:
    """Return numbers int [...] without their low ``shift`` bits, rounded down; with ``even`` those that drop only zeros
    are the even number at or below."""
    rounded = totals >> shift
    return rounded - ((rounded << shift == totals) & rounded & 1) if even else rounded


def table_cost(count: int, width: int) -> Cost:
    """Return the cost of a table of ``count`` words of constants, read into a register: of few words many bits are the
    same function of the address, and are built once."""
    distinct = min(width, 1 << min(count, 32))
    return Cost(lut=0.9 * distinct * -(-count // 64), ff=distinct)


def _memory(name: str, suffix: str, values: np.ndarray, bits: int) -> Memory:
    return Memory(f"{name}File", suffix, words(values, bits, suffix), bits * values[0].size)
