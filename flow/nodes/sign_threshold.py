import numpy as np

from .base import HardwareOp
from .cells import Call, Cell, Memory, Table
from .cost import Cost, memory_cost, table_style
from .packing import grouped, words
from .stream import Stream


class SignThreshold(HardwareOp):
    """bit = +1 if x >= threshold[c] else -1; inputs x [N, H, W, C] and threshold [C], output bipolar.

    A threshold of 2^(bits-1), one above the largest value, is a channel that is always -1.
    """

    def evaluate(self, x, threshold):
        return np.where(x >= threshold, np.int8(1), np.int8(-1))

    def outputs(self):
        return [Stream(self.height, self.width, self.channels, self.p, 1)]

    def rtl(self, threshold):
        """Return its module instance.

        The module holds thresholds on the bits of its elements. 2^(bits - 1), which no element reaches, needs one more.
        """
        extend = int(threshold.max() >= 1 << self.bits - 1)
        bits = self.bits + extend
        memory = Memory("ThresholdFile", "thresholds", words(grouped(threshold, self.p), bits), self.p * bits)
        style = "auto" if len(np.unique(threshold)) == 1 else table_style(self.channels // self.p)
        parameters = {"Channels": self.channels, "P": self.p, "Bits": bits, "MemoryStyle": style}
        return Cell("sign_threshold", parameters, (memory,), extend)

    def hls(self, threshold):
        parameters = {"Channels": self.channels, "P": self.p, "Bits": self.bits, "Pixels": self.pixels}
        return Call(
            "sign_threshold",
            parameters,
            (
                Table(
                    "thresholds",
                    "int16_t",
                    grouped(threshold, self.p),
                    "[channel / P][channel % P]: +1 from this value on",
                ),
            ),
        )

    def cost(self):
        table = memory_cost(self.channels // self.p, self.p * self.bits, "distributed")
        return Cost(lut=self.p * (self.bits / 2 + 1) + 6, ff=2 * self.p + 6) + table
