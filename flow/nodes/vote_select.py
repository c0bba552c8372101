import numpy as np

from .base import HardwareOp
from .cells import Call, Cell, Memory, Table
from .cost import Cost, memory_cost, table_style
from .packing import grouped, words
from .stream import Stream


class VoteSelect(HardwareOp):
    """y[c] = high[c] if vote == +1 else low[c]; vote [N, H, W, C] bipolar, low and high [C] on ``bits`` bits.

    BatchNorm of a two-valued input has two values a channel (docs/explanation/popbin.md): low and high.
    """

    def evaluate(self, vote, low, high):
        return np.where(vote > 0, high.astype(np.int32), low.astype(np.int32))

    def bounds(self, inputs, constants):
        sides = [self.evaluate(side, *constants) for side in inputs[0]]
        return [(np.minimum(*sides), np.maximum(*sides))]

    def inputs(self):
        return [Stream(self.height, self.width, self.channels, self.p, 1)]

    def outputs(self):
        return [Stream(self.height, self.width, self.channels, self.p, self.bits)]

    def rtl(self, low, high):
        pairs = grouped(np.stack([low, high], axis=1).ravel(), 2 * self.p)  # high in the upper half of a pair
        memory = Memory("TableFile", "table", words(pairs, self.bits), 2 * self.p * self.bits)
        parameters = {"Channels": self.channels, "P": self.p, "Bits": self.bits, "MemoryStyle": table_style(len(pairs))}
        return Cell("vote_select", parameters, (memory,))

    def hls(self, low, high):
        parameters = {"Channels": self.channels, "P": self.p, "Bits": self.bits, "Pixels": self.pixels}
        tables = (
            Table("low", "int16_t", grouped(low, self.p), "[channel / P][channel % P]: the value of vote -1"),
            Table("high", "int16_t", grouped(high, self.p), "[channel / P][channel % P]: the value of vote +1"),
        )
        return Call("vote_select", parameters, tables)

    def cost(self):
        table = memory_cost(self.channels // self.p, 2 * self.p * self.bits, "distributed")
        return Cost(lut=self.p * self.bits + 5, ff=2 * self.p * self.bits + 6) + table
