from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .cells import Array, Call, Cell
from .cost import Cost, ram_cost
from .errors import NodeError
from .stream import Stream
from .window import Window, taps_together


@dataclass(kw_only=True)
class SlidingWindow(Window):
    """im2col: [N, H, W, C] -> [N, OH, OW, K*K*C], elements in ``order`` (see Window.windows).

    Taps outside the map read ``pad_value`` in every channel. A bipolar stream may be padded with -1, +1 or 0; with 0
    the windows are masked: a beat carries one bit more, which says that it lies outside the map.
    """

    order: str = "tap"
    memory: str = "distributed"

    folding = ()  # gives as many elements a beat as its engine takes

    def evaluate(self, x):
        return self.windows(self._taken(x), self.order).elements()

    def quick(self):
        return lambda x: self.windows(self._taken(x), self.order)

    def _taken(self, x):
        """Return a map as the node takes it: one pixel may have all elements of the stream as its channels."""
        return x if x.ndim != 4 else x.reshape(len(x), self.height, self.width, self.channels)

    @property
    def taps_together(self) -> int:
        """Taps of a channel that share a beat."""
        return taps_together(self.order, self.kernel)

    def inputs(self):
        return [Stream(self.height, self.width, self.channels, self.p // self.taps_together, self.bits)]

    def outputs(self):
        channels = self.kernel**2 * self.channels
        return [Stream(self.out_height, self.out_width, channels, self.p, self.bits, masked=self.zero_padded)]

    def cycles(self):
        """Return the cycles a frame: the buffer gives one tap a cycle."""
        return max(self.inputs()[0].beats, self.outputs()[0].beats * self.taps_together)

    @property
    def passes_through(self) -> bool:
        """Whether its windows are the stream itself: 1x1 windows of stride 1."""
        return self.kernel == 1 and self.stride == 1 and self.padding == 0

    @property
    def is_wire(self) -> bool:
        return self.passes_through

    def lag(self):
        """Return how much of a frame it takes in first: (kernel - padding) rows less some pixels."""
        if self.passes_through:
            return 0.0
        needed = self.kernel - self.padding
        return max(0.0, min(1.0, ((needed - 1) * self.width + needed) / self.pixels))

    def taken(self):
        """Return the beats taken before each output: up to the farthest tap of any so far that lies inside the map."""
        if self.passes_through:
            return super().taken()
        beats = np.arange(1, self.inputs()[0].beats + 1).reshape(1, self.height, self.width, -1)
        last = replace(self, bits=32, pad_value=0).windows(beats, self.order).elements().ravel()
        return np.maximum.accumulate(last.reshape(-1, self.taps_together).max(axis=1))

    def timing(self, first, last):
        """Return the cycles of its first and last beats.

        When the last pixels come, there are still as many windows to give as it waited for pixels at first.
        """
        start, end = super().timing(first, last)
        return start, max(end, last + self.lag() * self.cycles())

    def works_ahead(self):
        """Return the elements of a window where taps are gathered at one a cycle, for then the next window is gathered
        while the engine replays the one before."""
        return self.outputs()[0].channels if self.taps_together > 1 else 0

    def _check(self):
        if self.zero_padded and self.taps_together > 1:
            raise NodeError(
                f"windows of order {self.order} are padded with -1 or +1, not 0, as one bit a beat says that it lies "
                "outside: set pad_value, or order tap"
            )
        if self.p % self.taps_together:
            raise NodeError(
                f"order {self.order} needs p to be a multiple of {self.taps_together}, not {self.p}: set simd so"
            )

    def _parameters(self) -> dict:
        self._check()
        pad = int(self.pad_value > 0) if self.bits == 1 else self.pad_value & ((1 << self.bits) - 1)
        shape = self.shape_parameters()
        map_size = {name: shape.pop(name) for name in ("Height", "Width", "Channels")}
        return {**map_size, **self.window_parameters(), **shape, "PadValue": pad, "Masked": int(self.zero_padded)}

    def rtl(self):
        return Cell(
            "sliding_window", {**self._parameters(), "TapsTogether": self.taps_together, "MemoryStyle": self.memory}
        )

    def hls(self):
        (stream,) = self.inputs()
        slots = self.kernel + self.stride
        rows = Array("rows", slots * self.width * self.channels // stream.parallel, stream.beat_bits, self.memory)
        return Call("sliding_window", {**self._parameters(), "Taps": self.taps_together}, arrays=(rows,))

    def cost(self):
        if self.passes_through:
            return Cost()
        rows, width = self.kernel + self.stride, self.p // self.taps_together
        buffer = ram_cost(rows * self.width * self.channels // width, width * self.bits, self.memory)
        gather = self.p * self.bits * (self.taps_together > 1)
        return Cost(lut=115 + width * self.bits + gather, ff=145 + 1.5 * width * self.bits + 2 * gather) + buffer
