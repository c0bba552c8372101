from dataclasses import dataclass

from .base import HardwareOp
from .cells import Call, Cell
from .cost import Cost
from .stream import Stream


@dataclass(kw_only=True)
class WidthConverter(HardwareOp):
    """y = x, from ``p`` to ``out_p`` elements a beat; the larger is a multiple of the smaller."""

    out_p: int

    plumbing = True
    takes_windows = True

    def evaluate(self, x):
        return x

    def outputs(self):
        return [Stream(self.height, self.width, self.channels, self.out_p, self.bits)]

    def rtl(self):
        return Cell("width_converter", {"InElements": self.p, "OutElements": self.out_p, "Bits": self.bits})

    def hls(self):
        elements = self.inputs()[0].elements
        parameters = {"InElements": self.p, "OutElements": self.out_p, "Bits": self.bits, "Elements": elements}
        return Call("width_converter", parameters)

    def cost(self):
        wide, parts = max(self.p, self.out_p) * self.bits, max(self.p, self.out_p) // min(self.p, self.out_p)
        if parts == 1:
            return Cost()
        return Cost(lut=6 + (wide if self.p > self.out_p else 0), ff=wide + parts.bit_length() + 2)
