import numpy as np

from .base import Cost, HardwareOp, Stream, memory_cost


class VoteSelect(HardwareOp):
    """y[c] = high[c] if vote == +1 else low[c]; vote [N, H, W, C] bipolar, low and high [C] on ``bits`` bits.

    BatchNorm of a two-valued input has two values per channel (DESIGN 2): these are they.
    """

    def evaluate(self, vote, low, high):
        return np.where(vote > 0, high, low).astype(np.int32)

    def bounds(self, inputs, constants):
        sides = [self.evaluate(side, *constants) for side in inputs[0]]
        return [(np.minimum(*sides), np.maximum(*sides))]

    def inputs(self):
        return [Stream(self.height, self.width, self.channels, self.p, 1)]

    def outputs(self):
        return [Stream(self.height, self.width, self.channels, self.p, self.bits)]

    def cost(self):
        words = self.channels // self.p
        table = memory_cost(words, 2 * self.p * self.bits, "distributed")
        return Cost(lut=self.p * self.bits / 2 + 8, ff=self.p * self.bits + 10) + table
