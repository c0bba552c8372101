from .base import HardwareOp
from .cells import Call, Cell
from .cost import Cost
from .stream import saturate


class AddStreams(HardwareOp):
    """y = saturate(a + b) on ``bits`` bits; a, b, y [N, H, W, C] signed."""

    input_ports = ("a", "b")
    joins = True

    def evaluate(self, a, b):
        return saturate(a + b, self.bits)

    def inputs(self):
        return super().inputs() * 2

    def outputs(self):
        return super().inputs()

    def rtl(self):
        return Cell("add_streams", {"P": self.p, "Bits": self.bits})

    def hls(self):
        return Call("add_streams", {"P": self.p, "Bits": self.bits, "Beats": self.inputs()[0].beats})

    def cost(self):
        return Cost(lut=self.p * self.bits * 2.6, ff=2 * self.p * self.bits + 2)
