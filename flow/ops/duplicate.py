from .base import Cost, HardwareOp


class Duplicate(HardwareOp):
    """Both outputs equal the input [N, H, W, C]."""

    def evaluate(self, x):
        return x, x

    def outputs(self):
        return self.inputs() * 2

    def cost(self):
        return Cost(lut=6, ff=2)
