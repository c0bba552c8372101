from .base import Cost, HardwareOp, Stream, memory_cost


class Fifo(HardwareOp):
    """y = x; holds up to ``depth`` beats."""

    attributes = {"depth": ("i", True, 2), "memory": ("s", False, "distributed")}

    def evaluate(self, x):
        return x

    def cost(self):
        return Cost(lut=24, ff=20 + self.p * self.bits) + memory_cost(self.depth, self.p * self.bits, self.memory)
