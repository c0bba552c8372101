from .base import Cost, HardwareOp, Stream, memory_cost
from .window import ORDERS, Window


class SlidingWindow(Window, HardwareOp):
    """im2col: [N, H, W, C] -> [N, OH, OW, K*K*C], elements in ``order`` (see Window.windows).

    Taps outside the map read ``pad_value`` in every channel. A bipolar stream may be padded with -1, +1 or 0; with 0
    the windows are masked: a beat carries one bit more, which says that it lies outside the map.
    """

    attributes = {
        "kernel": ("i", True, 3),
        "stride": ("i", True, 1),
        "padding": ("i", True, 1),
        "pad_value": ("i", True, 0),
        "order": ("s", False, "tap"),
        "memory": ("s", False, "distributed"),
    }

    def evaluate(self, x):
        return self.windows(x, self.order)

    @property
    def masked(self) -> bool:
        """Padded taps are 0, which is no bipolar value."""
        return self.bits == 1 and self.padding > 0 and self.pad_value == 0

    @property
    def taps_together(self) -> int:
        """Taps of a channel that stand side by side in a window, and so share a beat."""
        if self.order not in ORDERS:
            raise ValueError(f"{self.name}: order {self.order!r} is none of {', '.join(ORDERS)}")
        if self.masked and self.order != "tap":
            raise ValueError(
                f"{self.name}: windows padded with zeros have order tap, as one bit a beat says that it lies outside"
            )
        return {"tap": 1, "row": self.kernel, "channel": self.kernel**2}[self.order]

    def inputs(self):
        return [Stream(self.height, self.width, self.channels, self.p // self.taps_together, self.bits)]

    def outputs(self):
        channels = self.kernel**2 * self.channels
        return [Stream(self.out_height, self.out_width, channels, self.p, self.bits, masked=self.masked)]

    def cycles(self):
        """The buffer gives one tap a cycle."""
        return max(self.inputs()[0].beats, self.outputs()[0].beats * self.taps_together)

    @property
    def passes_through(self):
        """A 1x1 window of stride 1 is the stream itself."""
        return self.kernel == 1 and self.stride == 1 and self.padding == 0

    def cost(self):
        if self.passes_through:
            return Cost()
        rows, width = self.kernel + self.stride, self.p // self.taps_together
        buffer = memory_cost(rows * self.width * self.channels // width, width * self.bits, self.memory)
        return Cost(lut=170, ff=140 + self.p * self.bits) + buffer
