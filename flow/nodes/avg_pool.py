from .cost import Cost, memory_cost
from .pool import Pool2x2


class AvgPool(Pool2x2):
    """2x2 average of stride 2, truncated: (sum of 4) >> 2, [N, H, W, C] -> [N, H/2, W/2, C]."""

    def evaluate(self, x):
        return self.windows(x).sum(axis=(2, 4)) >> 2

    def cost(self):
        row = memory_cost(self.width // 2 * self.channels // self.p, self.p * (self.bits + 2), "distributed")
        return Cost(lut=self.p * (self.bits + 2) + 10, ff=self.p * self.bits + 14) + row
