from .cost import Cost, memory_cost
from .pool import Pool2x2


class MaxPool(Pool2x2):
    """2x2 maximum of stride 2, [N, H, W, C] -> [N, H/2, W/2, C]; of bipolar values it is their OR."""

    def evaluate(self, x):
        return self.windows(x).max(axis=(2, 4))

    def path_ns(self):
        return 9.4  # a window's largest value so far is read, compared and written in one cycle

    def cost(self):
        row = memory_cost(self.width // 2 * self.channels // self.p, self.p * self.bits, "distributed")
        return Cost(lut=self.p * self.bits + 10, ff=self.p * self.bits + 14) + row
