import numpy as np

from .base import Cost, HardwareOp, Stream, memory_cost


class RepeatChannels(HardwareOp):
    """The channels of a pixel ``times`` times: [N, H, W, C] -> [N, H, W, times * C]."""

    attributes = {"times": ("i", True, 2)}

    def evaluate(self, x):
        return np.concatenate([x] * self.times, axis=-1)

    def outputs(self):
        return [Stream(self.height, self.width, self.times * self.channels, self.p, self.bits)]

    def cost(self):
        return Cost(lut=30, ff=30 + self.p * self.bits) + memory_cost(
            self.channels // self.p, self.p * self.bits, "distributed"
        )
