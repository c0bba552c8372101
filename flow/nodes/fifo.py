from dataclasses import dataclass

from .base import HardwareOp
from .cells import Cell
from .cost import Cost, ram_cost


@dataclass(kw_only=True)
class Fifo(HardwareOp):
    """y = x; holds up to ``depth`` beats. In HLS it is the depth of a stream."""

    depth: int
    memory: str = "distributed"

    plumbing = True
    takes_windows = True
    is_wire = True

    def evaluate(self, x):
        return x

    def holds(self):
        return self.depth

    def rtl(self):
        return Cell("fifo", {"Width": self.inputs()[0].beat_bits, "Depth": self.depth, "MemoryStyle": self.memory})

    def cost(self):
        width = self.p * self.bits
        return Cost(lut=24, ff=26 + width) + ram_cost(self.depth, width, self.memory)
