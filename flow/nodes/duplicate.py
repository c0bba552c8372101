from .base import HardwareOp
from .cells import Call, Cell
from .cost import Cost


class Duplicate(HardwareOp):
    """Both outputs equal the input [N, H, W, C]."""

    output_ports = ("out0", "out1")
    forks = True
    takes_windows = True

    def evaluate(self, x):
        return x, x

    def outputs(self):
        return self.inputs() * 2

    def rtl(self):
        return Cell("duplicate", {"Width": self.inputs()[0].beat_bits})

    def hls(self):
        stream = self.inputs()[0]
        return Call("duplicate", {"Width": stream.beat_bits, "Beats": stream.beats})

    def cost(self):
        return Cost(lut=6, ff=2)
