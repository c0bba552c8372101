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
    """im2col: [N, H, W, C] -> [N, OH, OW, KH*KW*C], elements in ``order`` (see flow.nodes.windows.ordered).

    Taps outside the map read ``pad_value`` in every channel. A bipolar stream may be padded with -1, +1 or 0; with 0
    the windows are masked: a beat carries one bit more, which says that it lies outside the map.

    In order "block" the taps of ``block`` channels follow each other, then those of the next; 0 stands for the channels
    of a beat, so that a beat is a tap of the channels that its engine works on.
    """

    order: str = "tap"
    block: int = 0
    memory: str = "distributed"

    folding = ()  # gives as many elements a beat as its engine takes

    def evaluate(self, x):
        return self.quick()(x).elements()

    def quick(self):
        return lambda x: self.windows(self.own_map(x), self.order, self.channels_of_block)

    @property
    def taps_together(self) -> int:
        """Taps of a channel that share a beat."""
        return taps_together(self.order, self.kernel)

    @property
    def channels_of_block(self) -> int:
        """Channels all of whose taps come before those of the next ones."""
        return (self.block or self.p) if self.order == "block" else self.channels

    def inputs(self):
        return [Stream(self.height, self.width, self.channels, self.p // self.taps_together, self.bits)]

    def outputs(self):
        channels = self.taps * self.channels
        return [Stream(self.out_height, self.out_width, channels, self.p, self.bits, masked=self.zero_padded)]

    def cycles(self):
        """Return the cycles a frame: the buffer gives one tap a cycle."""
        return max(self.inputs()[0].beats, self.outputs()[0].beats * self.taps_together)

    @property
    def is_wire(self) -> bool:
        """Whether its windows are the stream itself: one tap each."""
        return self.single_taps

    def lag(self):
        """Return how much of a frame it takes in first: the rows of the first window but one, and pixels of that."""
        if self.is_wire:
            return 0.0
        rows = min(self.reach[0] - self.padding[0], self.height)
        columns = min(self.reach[1] - self.padding[1], self.width)
        return max(0.0, min(1.0, ((rows - 1) * self.width + columns) / self.pixels))

    def taken(self):
        """Return the beats taken before each output: up to the farthest tap of any so far that lies inside the map."""
        if self.is_wire:
            return super().taken()
        (entering,) = self.inputs()
        beats = np.arange(1, entering.beats + 1).reshape(1, self.height, self.width, -1)
        windows = replace(self, pad_value=0).windows(beats, self.order, self.channels_of_block // entering.parallel)
        return np.maximum.accumulate(windows.elements().reshape(-1, self.taps_together).max(axis=1))

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
        block = self.channels_of_block
        if self.channels % block or (self.taps_together == 1 and block % self.p):
            raise NodeError(
                f"blocks of {block} channels are no whole beats of {self.p}, or do not divide {self.channels} channels"
            )
        if min(self.out_size) < 1:
            (rows, columns), (top, left, bottom, right) = self.reach, self.padding
            raise NodeError(
                f"kernel {self.kernel} reaches over {rows}x{columns} pixels, more than the padded map's "
                f"{self.height + top + bottom}x{self.width + left + right}: use a smaller one, or pad more"
            )
        if any(pad >= span for pad, span in zip(self.padding, self.reach * 2)):
            raise NodeError(
                f"padding {self.padding} holds whole windows of kernel {self.kernel}: pad less than a window on each "
                "side"
            )

    def _along_rows(self) -> SlidingWindow:
        """Return the node that is built: of a map of one row the same stream as a map of one column, whose buffer holds
        some pixels and not the row."""
        top, left, bottom, right = self.padding
        if self.height > 1 or self.kernel[0] > 1 or top or bottom:
            return self
        return replace(
            self,
            height=self.width,
            width=1,
            kernel=(self.kernel[1], 1),
            stride=(self.stride[1], 1),
            dilation=(self.dilation[1], 1),
            padding=(left, 0, right, 0),
            order="channel" if self.order == "row" else self.order,
        )

    def _parameters(self) -> dict:
        self._check()
        built = self._along_rows()
        pad = int(self.pad_value > 0) if self.bits == 1 else self.pad_value & ((1 << self.bits) - 1)
        rows_and_columns = {
            f"{name}{side}": value
            for name, values in (("Kernel", built.kernel), ("Stride", built.stride), ("Dilation", built.dilation))
            for side, value in zip(("Rows", "Columns"), values)
        }
        return {
            "Height": built.height,
            "Width": built.width,
            "Channels": self.channels,
            **rows_and_columns,
            **{f"Pad{side}": pad for side, pad in zip(("Top", "Left", "Bottom", "Right"), built.padding)},
            "P": self.p,
            "Bits": self.bits,
            "PadValue": pad,
            "Masked": int(self.zero_padded),
            "TapsTogether": self.taps_together,
            "Block": self.channels_of_block,
        }

    def rtl(self):
        return Cell("sliding_window", {**self._parameters(), "MemoryStyle": self.memory})

    def hls(self):
        built, (stream,) = self._along_rows(), self.inputs()
        words = (built.reach[0] + built.stride[0]) * built.width * self.channels // stream.parallel
        rows = Array("rows", words, stream.beat_bits, self.memory)
        return Call("sliding_window", self._parameters(), arrays=(rows,))

    def cost(self):
        if self.is_wire:
            return Cost()
        built, (stream,) = self._along_rows(), self.inputs()
        above, reach, step = built.padding[0], built.reach[0], built.stride[0]
        released = built.height - max(0, (built.out_height - 1) * step - above)  # after the last row of windows
        rows = max(reach + step, released + reach - above)
        buffer = ram_cost(rows * built.width * self.channels // stream.parallel, stream.beat_bits, self.memory)
        gather = self.p * self.bits * (self.taps_together > 1)
        return Cost(lut=115 + stream.beat_bits + gather, ff=145 + 1.5 * stream.beat_bits + 2 * gather) + buffer
