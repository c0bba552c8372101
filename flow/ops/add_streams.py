from .base import Cost, HardwareOp, saturate


class AddStreams(HardwareOp):
    """y = saturate(a + b) on ``bits`` bits; a, b, y [N, H, W, C] signed."""

    def evaluate(self, a, b):
        return saturate(a + b, self.bits)

    def inputs(self):
        return super().inputs() * 2

    def outputs(self):
        return super().inputs()

    def cost(self):
        return Cost(lut=self.p * (self.bits * 2 + 1) + 4, ff=self.p * self.bits + 1)
