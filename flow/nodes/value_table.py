from dataclasses import dataclass

import numpy as np

from .base import HardwareOp
from .cells import Call, Cell, Memory, Table
from .cost import Cost, memory_cost
from .errors import NodeError
from .packing import grouped, words
from .stream import Stream, signed_bits

WIDEST = 12  # bits of x: a table of 4,096 values
BLOCK = 10  # bits from which on a table is a block RAM


@dataclass(kw_only=True)
class ValueTable(HardwareOp):
    """y = table[x] on ``out_bits`` bits, by the same table for all channels; x [N, H, W, C] on ``bits`` bits, signed
    unless ``unsigned``.

    Any function of one value: the nodes before a network's first quantizer, evaluated on the 256 values of a pixel, or
    a curve between two quantizers. The table [2^bits] begins with the value of the least x.
    """

    out_bits: int = 8
    unsigned: int = 0

    def evaluate(self, x, table):
        return table[x.astype(np.int64) - self.inputs()[0].range[0]]

    def bounds(self, inputs, constants):
        least = self.inputs()[0].range[0]
        parts = [constants[0][low - least : high - least + 1] for low, high in zip(*inputs[0])]
        return [tuple(np.array([side(part) for part in parts]) for side in (np.min, np.max))]

    def inputs(self):
        return [Stream(self.height, self.width, self.channels, self.p, self.bits, signed=not self.unsigned)]

    def outputs(self):
        return [Stream(self.height, self.width, self.channels, self.p, self.out_bits)]

    def _check(self, table):
        if not 2 <= self.bits <= WIDEST:
            raise NodeError(f"a table of values of {self.bits} bits: must be 2 to {WIDEST} bits")
        if table.size != 1 << self.bits or signed_bits(table) > self.out_bits:
            size = f"{1 << self.bits} of {self.out_bits} signed bits"
            raise NodeError(f"{table.size} values {table.min()}..{table.max()}: must be {size}")

    @property
    def _style(self) -> str:
        return "block" if self.bits >= BLOCK else "distributed"

    def rtl(self, table):
        self._check(table)
        by_pattern = table if self.unsigned else np.roll(table, len(table) // 2)  # of x as an unsigned number
        memory = Memory("TableFile", "table", words(grouped(by_pattern, 1), self.out_bits), self.out_bits)
        parameters = {"P": self.p, "InBits": self.bits, "OutBits": self.out_bits, "MemoryStyle": self._style}
        return Cell("value_table", parameters, (memory,))

    def hls(self, table):
        self._check(table)
        by_pattern = table if self.unsigned else np.roll(table, len(table) // 2)
        sizes = {"P": self.p, "InBits": self.bits, "OutBits": self.out_bits, "Beats": self.inputs()[0].beats}
        kind = next((f"int{bits}_t" for bits in (8, 16) if self.out_bits <= bits), "int32_t")
        values = Table("table", kind, grouped(by_pattern, 1), "[x as an unsigned number][0]", self._style, self.p)
        return Call("value_table", sizes, (values,))

    def cost(self):
        one = memory_cost(1 << self.bits, self.out_bits, self._style)
        table = Cost(lut=self.p * one.lut, bram36=self.p * one.bram36)
        return Cost(lut=8, ff=self.p * self.out_bits + 4) + table
