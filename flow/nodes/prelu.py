from dataclasses import dataclass

import numpy as np

from .base import HardwareOp
from .cells import Call, Cell, Memory, Table, integer_type
from .cost import Cost, memory_cost
from .errors import NodeError
from .packing import grouped, joined, words
from .stream import Stream, saturate, signed_bits


@dataclass(kw_only=True)
class PReLU(HardwareOp):
    """y = saturate((m * x + b) >> shift) on ``out_bits`` bits; m, b = up, up_offset [c] where x >= step[c], else down,
    down_offset [c].

    Two straight lines a channel: a PReLU of any slope with the shifts and scales around it. x [N, H, W, C] signed on
    ``bits`` bits; all constants [C]. RPReLU does without a multiplier where slopes are powers of two.
    """

    shift: int
    out_bits: int = 8

    def evaluate(self, x, step, down, down_offset, up, up_offset):
        above = x >= step
        product = np.where(above, up, down) * x + np.where(above, up_offset, down_offset)
        return saturate(product >> self.shift, self.out_bits)

    def bounds(self, inputs, constants):
        low, high = inputs[0]
        step = constants[0]
        ends = np.stack([low, high, np.clip(step - 1, low, high), np.clip(step, low, high)])  # of both lines
        values = self.evaluate(ends, *constants)
        return [(values.min(axis=0), values.max(axis=0))]

    def outputs(self):
        return [Stream(self.height, self.width, self.channels, self.p, self.out_bits)]

    def rtl(self, step, down, down_offset, up, up_offset):
        """Return its module instance, with a tuple {up_offset, up, down_offset, down, step} a channel.

        A step has one bit more than x: 2^(bits - 1) is one that no x reaches.
        """
        half = 1 << self.bits - 1
        multiplier_bits, offset_bits = signed_bits(down, up), signed_bits(down_offset, up_offset)
        if step.min() < -half or step.max() > half:
            raise NodeError(f"step {step.min()}..{step.max()} is not within {-half}..{half}")
        if multiplier_bits > 32 or offset_bits > 48:
            sizes = f"multipliers of {multiplier_bits} and offsets of {offset_bits} bits"
            raise NodeError(f"{sizes}: RTL takes at most 32 and 48: lower the shift")
        widths = (self.bits + 1, multiplier_bits, offset_bits, multiplier_bits, offset_bits)
        values = (step, down, down_offset, up, up_offset)
        tuples = joined([(words(grouped(v, 1), width), width) for v, width in zip(values, widths)])
        width = sum(widths)
        rows = [tuples[c : c + self.p] for c in range(0, self.channels, self.p)]
        memory = [joined([([part], width) for part in row])[0] for row in rows]
        parameters = {
            "Channels": self.channels,
            "P": self.p,
            "InBits": self.bits,
            "OutBits": self.out_bits,
            "MultiplierBits": multiplier_bits,
            "OffsetBits": offset_bits,
            "Shift": self.shift,
        }
        return Cell("prelu", parameters, (Memory("TableFile", "table", memory, self.p * width),))

    def hls(self, step, down, down_offset, up, up_offset):
        if self.out_bits > 32 or not 0 <= self.shift < 64:
            raise NodeError(
                f"out_bits {self.out_bits}, shift {self.shift}: HLS takes at most 32 bits and shifts of 0..63"
            )
        lines = zip([*down.tolist(), *up.tolist()], [*down_offset.tolist(), *up_offset.tolist()])
        largest = max((abs(m) << self.bits - 1) + abs(b) for m, b in lines)
        if largest >= 1 << 63:
            raise NodeError(f"multiplier * x + offset reaches {largest}, beyond 64 bits: lower the shift")
        parameters = {
            "Channels": self.channels,
            "P": self.p,
            "InBits": self.bits,
            "OutBits": self.out_bits,
            "Shift": self.shift,
            "Pixels": self.pixels,
        }
        from_here, factor, added = "up from this value on, down below it", "multiplier", "added to the product"
        tables = (
            self._table("step", step, 32, from_here),
            self._table("down", down, 32, factor),
            self._table("down_offset", down_offset, 64, added),
            self._table("up", up, 32, factor),
            self._table("up_offset", up_offset, 64, added),
        )
        return Call("prelu", parameters, tables)

    def _table(self, name, values, bits, what) -> Table:
        """Return the HLS table of constants of channels, of at most ``bits`` bits."""
        layout = f"[channel / P][channel % P]: {what}"
        return Table(name, integer_type(values, bits), grouped(values, self.p), layout)

    def cost(self):
        width = self.bits + 1 + 2 * (18 + 24)
        table = memory_cost(self.channels // self.p, self.p * width, "distributed")
        return Cost(lut=self.p * (self.bits + 90), ff=self.p * 120 + 10, dsp=self.p) + table
