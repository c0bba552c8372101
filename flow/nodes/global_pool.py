import numpy as np

from .base import HardwareOp
from .cells import Call, Cell
from .cost import Cost, memory_cost
from .errors import NodeError
from .stream import Stream


class GlobalPool(HardwareOp):
    """Average over the whole map, truncated: (sum over pixels) >> log2(pixels), -> [N, 1, 1, C]."""

    @property
    def shift(self):
        return self.pixels.bit_length() - 1

    def evaluate(self, x):
        return x.sum(axis=(1, 2), keepdims=True) >> self.shift

    def outputs(self):
        return [Stream(1, 1, self.channels, self.p, self.bits)]

    def lag(self):
        return 1.0

    def taken(self):
        beats = self.channels // self.p
        return (self.pixels - 1) * beats + np.arange(1, beats + 1)

    def timing(self, first, last):
        """Return the cycles of its first and last beats: sums are complete with the frame's last beat, then go out."""
        return last, last + self.channels / self.p

    def _parameters(self):
        if self.pixels != 1 << self.shift:
            raise NodeError(f"{self.pixels} pixels: the mean is a shift only over a power of two")
        return {"Pixels": self.pixels, "Channels": self.channels, "P": self.p, "Bits": self.bits}

    def rtl(self):
        return Cell("global_pool", self._parameters())

    def hls(self):
        return Call("global_pool", self._parameters())

    def cost(self):
        sums = memory_cost(2 * self.channels // self.p, self.p * (self.bits + self.shift), "distributed")
        return Cost(lut=self.p * (self.bits + self.shift) * 2 + 30, ff=self.p * self.bits * 2 + 30) + sums
