import numpy as np

from .base import Cost, HardwareOp, memory_cost, saturate


class PReLU(HardwareOp):
    """y = saturate((m * x + b) >> shift) on ``out_bits`` bits; m, b = up, up_offset [c] where x >= step[c], else down, down_offset [c].

    Two straight lines a channel: a PReLU of any slope with the shifts and scales around it. x [N, H, W, C] signed on ``bits``
    bits; all constants [C]. RPReLU does without a multiplier where slopes are powers of two.
    """

    attributes = {"shift": ("i", True, 0), "out_bits": ("i", True, 8)}

    def evaluate(self, x, step, down, down_offset, up, up_offset):
        above = x >= step
        product = np.where(above, up, down) * x + np.where(above, up_offset, down_offset)
        return saturate(product >> self.shift, self.out_bits)

    def bounds(self, inputs, constants):
        low, high = inputs[0]
        step = constants[0]
        ends = np.stack([low, high, np.clip(step - 1, low, high), np.clip(step, low, high)])  # of both lines
        values = self.evaluate(ends, *constants)
        return [(values.min(axis=0), values.max(axis=0))]

    def outputs(self):
        stream = self.inputs()[0]
        return [type(stream)(stream.height, stream.width, stream.channels, stream.parallel, self.out_bits)]

    def cost(self):
        words, width = self.channels // self.p, self.bits + 1 + 2 * (18 + 24)
        table = memory_cost(words, self.p * width, "distributed")
        return Cost(lut=self.p * (self.bits + 90), ff=self.p * 120 + 10, dsp=self.p) + table
