import numpy as np

from .base import Cost, HardwareOp, Stream, memory_cost


class SignThreshold(HardwareOp):
    """bit = +1 if x >= threshold[c] else -1; inputs x [N, H, W, C] and threshold [C], output bipolar.

    A threshold of 2^(bits-1), one above the largest value, is a channel that is always -1.
    """

    def evaluate(self, x, threshold):
        return np.where(x >= threshold, 1, -1).astype(np.int8)

    def outputs(self):
        return [Stream(self.height, self.width, self.channels, self.p, 1)]

    def cost(self):
        words = self.channels // self.p
        return Cost(lut=self.p * self.bits / 2 + 8, ff=self.p + 10) + memory_cost(
            words, self.p * self.bits, "distributed"
        )
