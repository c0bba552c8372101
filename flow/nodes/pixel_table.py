import numpy as np

from .base import HardwareOp
from .cells import Call, Cell, Memory, Table
from .cost import Cost
from .errors import NodeError
from .packing import grouped, words
from .stream import Stream, signed_bits


class PixelTable(HardwareOp):
    """y = table[x]: uint8 pixels [N, H, W, C] to signed integers of ``bits`` bits by a table [256], the same for all
    channels.

    It stands for the nodes before a network's first quantizer (normalisation, rounding), evaluated on the 256 values of
    a pixel.
    """

    def evaluate(self, x, table):
        return table[x.astype(np.int64)]

    def bounds(self, inputs, constants):
        parts = [constants[0][low : high + 1] for low, high in zip(*inputs[0])]
        return [tuple(np.array([side(part) for part in parts]) for side in (np.min, np.max))]

    def inputs(self):
        return [Stream(self.height, self.width, self.channels, self.p, 8, signed=False)]

    def outputs(self):
        return [Stream(self.height, self.width, self.channels, self.p, self.bits)]

    def _check(self, table):
        if table.size != 256 or signed_bits(table) > self.bits:
            raise NodeError(f"{table.size} values {table.min()}..{table.max()}: must be 256 of {self.bits} signed bits")

    def rtl(self, table):
        self._check(table)
        memory = Memory("TableFile", "table", words(grouped(table, 1), self.bits), self.bits)
        return Cell("pixel_table", {"P": self.p, "Bits": self.bits}, (memory,))

    def hls(self, table):
        self._check(table)
        parameters = {"P": self.p, "Bits": self.bits, "Beats": self.inputs()[0].beats}
        return Call("pixel_table", parameters, (Table("table", "int32_t", table, "[pixel]"),))

    def cost(self):
        return Cost(lut=self.p * self.bits * 4 + 8, ff=self.p * self.bits + 4)  # 256 x 1 bits are four LUT6
