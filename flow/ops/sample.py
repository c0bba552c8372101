from .base import Cost, HardwareOp, Stream


class Sample(HardwareOp):
    """y = x[..., ::ratio]: every ratio-th channel, [N, H, W, C] -> [N, H, W, C / ratio].

    In front of a binary layer it makes a sampled voter: the votes of some inputs stand for all. ``ratio`` divides ``p``.
    """

    attributes = {"ratio": ("i", True, 2)}

    def evaluate(self, x):
        return x[..., :: self.ratio]

    def outputs(self):
        return [Stream(self.height, self.width, self.channels // self.ratio, self.p // self.ratio, self.bits)]

    def foldings(self):
        return [p for p in super().foldings() if p % self.ratio == 0]

    def cost(self):
        return Cost()
