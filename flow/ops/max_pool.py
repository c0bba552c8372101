from .base import Cost, HardwareOp, Stream, memory_cost


class MaxPool(HardwareOp):
    """2x2 maximum of stride 2, [N, H, W, C] -> [N, H/2, W/2, C]; of bipolar values it is their OR."""

    def evaluate(self, x):
        n, h, w, c = x.shape
        return x.reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))

    def outputs(self):
        return [Stream(self.height // 2, self.width // 2, self.channels, self.p, self.bits)]

    def cost(self):
        row = memory_cost(self.width // 2 * self.channels // self.p, self.p * self.bits, "distributed")
        return Cost(lut=self.p * self.bits * 2 + 40, ff=self.p * self.bits * 2 + 40) + row
