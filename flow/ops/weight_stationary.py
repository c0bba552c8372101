import math

import numpy as np

from .base import Cost, HardwareOp, Stream, memory_cost
from .dot import dot
from .sliding_window import SlidingWindow

DDR_WORD = 64


class WeightStationary(HardwareOp):
    """SlidingWindow + XnorPopcount + majority vote whose weights come from DDR once a frame.

    Inputs: map [N, H, W, C] bipolar and weights [O, K*K*C] bipolar; output votes [N, OH, OW, O].
    Each weight word serves all output pixels, so DDR is read once a frame and not once a pixel.
    """

    attributes = {
        "kernel": ("i", True, 3),
        "stride": ("i", True, 1),
        "padding": ("i", True, 1),
        "features": ("i", True, 0),
        "threshold": ("i", False, 0),
        "pe": ("i", False, 1),
        "simd": ("i", False, 1),
    }

    out_height = SlidingWindow.out_height
    out_width = SlidingWindow.out_width

    @property
    def window(self):
        """n, inputs of one dot product."""
        return self.kernel**2 * self.channels

    @property
    def out_pixels(self):
        return self.out_height * self.out_width

    @property
    def weight_bits(self):
        return self.window * self.features

    @property
    def ddr_words(self):
        """64-bit words read a frame."""
        return math.ceil(self.weight_bits / DDR_WORD)

    @property
    def neuron_fold(self):
        return self.features // self.pe

    @property
    def synapse_fold(self):
        return self.window // self.simd

    def evaluate(self, x, weights):
        k, s, p = self.kernel, self.stride, self.padding
        x = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)), constant_values=-1)
        windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(1, 2))[:, ::s, ::s]
        windows = windows.transpose(0, 1, 2, 4, 5, 3).reshape(len(x), self.out_height, self.out_width, self.window)
        matches = (dot(windows, weights) + self.window) >> 1
        return np.where(matches >= self.threshold, 1, -1).astype(np.int8)

    def inputs(self):
        return [Stream(self.height, self.width, self.channels, self.simd, 1)]

    def outputs(self):
        return [Stream(self.out_height, self.out_width, self.features, self.pe, 1)]

    def cycles(self):
        return max(self.neuron_fold * self.synapse_fold * self.out_pixels, self.inputs()[0].beats)

    def cost(self):
        count_bits = int(self.window).bit_length()
        # lines through Yosys estimates of rtl/weight_stationary.sv and one port of rtl/weight_stream.sv
        engine = Cost(lut=2.7 * self.pe * self.simd + 60 + 180, ff=0.45 * self.pe * self.simd + 440 + 150)
        maps = memory_cost(2 * self.pixels * self.channels // self.simd, self.simd, "distributed")
        sums = memory_cost(self.out_pixels, self.pe * count_bits, "distributed")
        votes = memory_cost(2 * self.out_pixels * self.neuron_fold, self.pe, "distributed")
        fifo = memory_cost(64, DDR_WORD, "distributed")
        return engine + maps + sums + votes + fifo


    def operations(self):
        return {"binary_mac": self.out_pixels * self.weight_bits}
