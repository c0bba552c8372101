from .base import Cost, HardwareOp, Stream


class WidthConverter(HardwareOp):
    """y = x, from ``p`` to ``out_p`` elements a beat; the larger is a multiple of the smaller."""

    attributes = {"out_p": ("i", True, 1)}

    def evaluate(self, x):
        return x

    def outputs(self):
        return [Stream(self.height, self.width, self.channels, self.out_p, self.bits)]

    def cost(self):
        wide = max(self.p, self.out_p) * self.bits
        return Cost(lut=0.6 * wide + 10, ff=2 * wide + 8)
