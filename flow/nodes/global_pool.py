from dataclasses import dataclass

import numpy as np

from .cells import Call, Cell
from .cost import Cost, ram_cost
from .errors import NodeError
from .multiply_shift import MultiplyShift
from .stream import Stream


@dataclass(kw_only=True)
class GlobalPool(MultiplyShift):
    """Sums over the map, scaled: saturate((multiplier[c] * sum + bias[c]) >> shift), [N, H, W, C] -> [N, 1, 1, C].

    Elements are bipolar where ``bits`` is 1. bias [C] and multiplier [C] where ``scaled``, else neither of them. With
    its defaults it is the mean, truncated, of as many bits as its input: that is a shift over a power of two only.
    """

    shift: int = -1  # of the mean
    out_bits: int = 0  # as many as ``bits``

    def __post_init__(self):
        if self.shift < 0:
            if self.pixels & (self.pixels - 1):
                raise NodeError(f"{self.pixels} pixels: the mean is a shift only over a power of two: give it a shift")
            self.shift = self.pixels.bit_length() - 1
        self.out_bits = self.out_bits or self.bits

    @property
    def sum_bits(self) -> int:
        """Bits of any sum."""
        return max(self.bits, 2) + (self.pixels - 1).bit_length()

    def evaluate(self, x, *constants):
        return self.from_sums(x.sum(axis=(1, 2), keepdims=True, dtype=np.int64), *constants)

    def bounds(self, inputs, constants):
        return self.from_sum_bounds(self._sums(inputs[0]), *constants)

    def fitted(self, inputs, constants):
        return self.accumulator(self._sums(inputs[0]), *constants)

    def _sums(self, interval):
        low, high = (side.astype(np.int64) * self.pixels for side in interval)
        return low, high

    def outputs(self):
        return [Stream(1, 1, self.channels, self.p, self.out_bits)]

    def lag(self):
        return 1.0

    def taken(self):
        beats = self.channels // self.p
        return (self.pixels - 1) * beats + np.arange(1, beats + 1)

    def timing(self, first, last):
        """Return the cycles of its first and last beats: sums are complete with the frame's last beat, then go out."""
        return last, last + self.channels / self.p

    def _parameters(self):
        size = {"Pixels": self.pixels, "Channels": self.channels, "P": self.p, "Bits": self.bits}
        return {**size, "OutBits": self.out_bits}

    def rtl(self, *constants):
        if not self.scaled:
            return Cell("global_pool", {**self._parameters(), "Shift": self.shift})
        parameters, memories = self.scale_memories(self.p, *constants)
        return Cell("global_pool", {**self._parameters(), **self.scale_parameters(), **parameters}, memories)

    def hls(self, *constants):
        bits = self.acc_bits if self.scaled else max(self.sum_bits, self.shift + 1)
        tables = self.scale_tables(self.p, *constants) if self.scaled else ()
        return Call("global_pool", {**self._parameters(), **self.scale_parameters(), "AccBits": bits}, tables)

    def cost(self):
        """Return its estimated resources: lines through Yosys 0.70's figures (benchmarks/cost_points.py)."""
        words, left = self.channels // self.p, self.sum_bits if self.scaled else self.out_bits
        sums = ram_cost(words, self.p * self.sum_bits, "distributed")
        pool = sums + Cost(lut=15 + 1.2 * self.p * self.sum_bits, ff=26 + 2 * self.p * left)
        return pool + self.scale_cost(self.p, words, self.sum_bits) if self.scaled else pool
