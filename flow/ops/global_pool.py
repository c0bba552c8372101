from .base import Cost, HardwareOp, Stream, memory_cost


class GlobalPool(HardwareOp):
    """Average over the whole map, truncated: (sum over pixels) >> log2(pixels), -> [N, 1, 1, C]."""

    @property
    def shift(self):
        return self.pixels.bit_length() - 1

    def evaluate(self, x):
        return x.sum(axis=(1, 2), keepdims=True) >> self.shift

    def outputs(self):
        return [Stream(1, 1, self.channels, self.p, self.bits)]

    def cost(self):
        sums = memory_cost(2 * self.channels // self.p, self.p * (self.bits + self.shift), "distributed")
        return Cost(lut=self.p * (self.bits + self.shift) * 2 + 30, ff=self.p * self.bits * 2 + 30) + sums
