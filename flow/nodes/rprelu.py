import numpy as np

from .base import HardwareOp
from .cells import Call, Cell, Memory, Table
from .cost import Cost, memory_cost, table_style
from .errors import NodeError
from .packing import grouped, words
from .stream import saturate


class RPReLU(HardwareOp):
    """u = x + before[c];  y = saturate((u if u >= 0 else u >> slope[c]) + after[c]) on ``bits`` bits.

    ReActNet's activation (Liu et al., ECCV 2020, eq. 5) on the residual grid, with slopes 2^-slope: x, y [N, H, W, C]
    signed; before, after [C] on ``bits`` bits, slope [C] in 0 .. bits - 1. The shift is arithmetic, so it floors; u has
    one bit more than x.
    """

    def evaluate(self, x, before, slope, after):
        self._check(before, slope, after)
        u = x + before
        return saturate(np.where(u >= 0, u, u >> slope) + after, self.bits)

    def _check(self, before, slope, after):
        half = 1 << self.bits - 1
        limits = (("before", before, -half, half), ("slope", slope, 0, self.bits), ("after", after, -half, half))
        for name, values, least, end in limits:
            if values.min() < least or values.max() >= end:
                raise NodeError(f"{name} {values.min()}..{values.max()} is not within {least}..{end - 1}")

    @property
    def slope_bits(self) -> int:
        """Bits of a slope's shift."""
        return max(1, (self.bits - 1).bit_length())

    def rtl(self, before, slope, after):
        """Return its module instance, with a triple {after, slope, before} a channel.

        A triple is one signed number: ``after``, with the other two below it.
        """
        self._check(before, slope, after)
        triples = after << self.bits + self.slope_bits | slope << self.bits | before & (1 << self.bits) - 1
        width = 2 * self.bits + self.slope_bits
        memory = Memory("TableFile", "table", words(grouped(triples, self.p), width), self.p * width)
        parameters = {"Channels": self.channels, "P": self.p, "Bits": self.bits, "SlopeBits": self.slope_bits}
        parameters["MemoryStyle"] = table_style(self.channels // self.p)
        return Cell("rprelu", parameters, (memory,))

    def hls(self, before, slope, after):
        parameters = {"Channels": self.channels, "P": self.p, "Bits": self.bits, "Pixels": self.pixels}
        tables = (
            Table("before", "int16_t", grouped(before, self.p), "[channel / P][channel % P]: added first"),
            Table(
                "slope",
                "uint8_t",
                grouped(slope, self.p),
                "[channel / P][channel % P]: right shift of what is negative then",
            ),
            Table("after", "int16_t", grouped(after, self.p), "[channel / P][channel % P]: added last"),
        )
        return Call("rprelu", parameters, tables)

    def cost(self):
        width = 2 * self.bits + self.slope_bits
        table = memory_cost(self.channels // self.p, self.p * width, "distributed")
        # lines through Yosys estimates of rtl/rprelu.sv
        return Cost(lut=self.p * self.bits * 4 + 8, ff=self.p * (4 * self.bits + width + 2) + 10) + table
