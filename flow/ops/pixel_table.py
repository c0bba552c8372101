import numpy as np

from .base import Cost, HardwareOp, Stream


class PixelTable(HardwareOp):
    """y = table[x]: uint8 pixels [N, H, W, C] to signed integers of ``bits`` bits by a table [256], the same for all channels.

    What stands in front of a network's first quantizer (normalisation, rounding), evaluated on the 256 values of a pixel.
    """

    def evaluate(self, x, table):
        return table[x.astype(np.int64)]

    def bounds(self, inputs, constants):
        parts = [constants[0][low : high + 1] for low, high in zip(*inputs[0])]
        return [tuple(np.array([side(part) for part in parts]) for side in (np.min, np.max))]

    def inputs(self):
        return [Stream(self.height, self.width, self.channels, self.p, 8, signed=False)]

    def outputs(self):
        return [Stream(self.height, self.width, self.channels, self.p, self.bits)]

    def cost(self):
        return Cost(lut=self.p * self.bits * 4 + 8, ff=self.p * self.bits + 4)  # 256 x 1 bits are four LUT6
