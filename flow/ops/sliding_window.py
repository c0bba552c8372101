import numpy as np

from .base import Cost, HardwareOp, Stream, memory_cost


class SlidingWindow(HardwareOp):
    """im2col: [N, H, W, C] -> [N, OH, OW, K*K*C], taps in raster order, channel fastest.

    Taps outside the map read ``pad_value`` in every channel (-1 for bipolar streams).
    """

    attributes = {
        "kernel": ("i", True, 3),
        "stride": ("i", True, 1),
        "padding": ("i", True, 1),
        "pad_value": ("i", True, 0),
        "memory": ("s", False, "distributed"),
    }

    @property
    def out_height(self):
        return (self.height + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def out_width(self):
        return (self.width + 2 * self.padding - self.kernel) // self.stride + 1

    def evaluate(self, x):
        k, s, p = self.kernel, self.stride, self.padding
        x = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)), constant_values=self.pad_value)
        windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(1, 2))[:, ::s, ::s]
        return windows.transpose(0, 1, 2, 4, 5, 3).reshape(len(x), self.out_height, self.out_width, k * k * self.channels)

    def outputs(self):
        return [Stream(self.out_height, self.out_width, self.kernel**2 * self.channels, self.p, self.bits)]

    @property
    def passes_through(self):
        """A 1x1 window of stride 1 is the stream itself."""
        return self.kernel == 1 and self.stride == 1 and self.padding == 0

    def cost(self):
        if self.passes_through:
            return Cost()
        rows = self.kernel + self.stride
        buffer = memory_cost(rows * self.width * self.channels // self.p, self.p * self.bits, self.memory)
        return Cost(lut=170, ff=140 + self.p * self.bits) + buffer
