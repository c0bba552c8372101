from dataclasses import dataclass

import numpy as np

from .base import HardwareOp
from .cells import Call, Cell
from .cost import Cost, memory_cost
from .stream import Stream


@dataclass(kw_only=True)
class RepeatChannels(HardwareOp):
    """The channels of a pixel ``times`` times: [N, H, W, C] -> [N, H, W, times * C]."""

    times: int

    def evaluate(self, x):
        return np.concatenate([x] * self.times, axis=-1)

    def outputs(self):
        return [Stream(self.height, self.width, self.times * self.channels, self.p, self.bits)]

    def taken(self):
        beats = self.channels // self.p
        once = np.concatenate([np.arange(1, beats + 1), np.full((self.times - 1) * beats, beats)])
        return (np.arange(self.pixels)[:, None] * beats + once).ravel()

    def _parameters(self):
        return {"Channels": self.channels, "P": self.p, "Bits": self.bits, "Times": self.times}

    def rtl(self):
        return Cell("repeat_channels", self._parameters())

    def hls(self):
        return Call("repeat_channels", {**self._parameters(), "Pixels": self.pixels})

    def cost(self):
        width = self.p * self.bits
        return Cost(lut=30, ff=30 + width) + memory_cost(self.channels // self.p, width, "distributed")
