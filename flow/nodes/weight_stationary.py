from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .binary_engine import BinaryEngine
from .cells import Cell
from .cost import PORT, Cost, ram_cost
from .engine import DDR_WORD, LEAST_WALK
from .errors import NodeError
from .packed import BinaryLayer
from .packing import ddr_bytes, fold, words
from .stationary import stationary_call
from .stream import Stream
from .window import Window
from .windows import as_map

DISTRIBUTED_MAP_BITS = 1 << 16


@dataclass(kw_only=True)
class WeightStationary(Window, BinaryEngine):
    """SlidingWindow + XnorPopcount whose weights come from DDR once a frame.

    Inputs: map [N, H, W, C] bipolar, weights [O, K*K*C] bipolar and the activation's constants; output [N, OH, OW, O].
    Each weight word serves all output pixels, so DDR is read once a frame and not once a pixel.
    """

    LAG = 2.0  # frames: one is collected, one is computed

    @property
    def synapses(self):
        return self.taps * self.channels

    @property
    def windows_masked(self):
        return self.zero_padded

    @property
    def ddr_words(self):
        return -(-self.weight_bits // DDR_WORD)

    @property
    def ddr_word_bits(self):
        return self.pe * self.simd

    def weight_words(self, weights, *constants):
        return words(fold(weights, self.pe, self.simd), 1, "weights", bipolar=True)

    def ddr_weights(self, weights, *constants):
        return ddr_bytes(self.weight_words(weights), self.ddr_word_bits)

    @property
    def map_memory(self):
        """The memory of the two maps, one of which fills while the other is used: "distributed" or "block"."""
        bits = 2 * self.pixels * self.channels
        return "distributed" if bits <= DISTRIBUTED_MAP_BITS else "block"

    @staticmethod
    def absorbs_window(window) -> bool:
        """Return whether it gathers the windows of the SlidingWindow ``window`` itself."""
        return window.order == "tap" and window.square

    def why_not(self) -> str | None:
        """Return the reason why there is no such node, or None."""
        if reason := self.why_too_fast(self.out_pixels, self.pe * self.simd):
            return reason
        if not self.square:
            names = ("kernel", "stride", "padding", "dilation")
            return f"it gathers square windows, not {', '.join(f'{name} {getattr(self, name)}' for name in names)}"
        word = self.pe * self.simd
        if max(word, DDR_WORD) % min(word, DDR_WORD) or self.weight_bits % DDR_WORD:
            return (
                f"weights from DDR need pe * simd to divide {DDR_WORD} or be a multiple of it, not {word}, and to be "
                f"whole {DDR_WORD}-bit words, not {self.weight_bits} bits"
            )
        if any(self.padding) and self.pad_value not in (-1, 0, 1):
            return f"a binary map is padded with -1, 0 or +1, not {self.pad_value}"
        return self.misfit()

    def evaluate(self, x, weights, *constants):
        return self.activate(self.windows(self.shaped(x)).elements(), weights, *constants)

    def quick(self, weights, *constants):
        layer = BinaryLayer(self, weights, *constants)
        if self.single_taps:  # windows that are its channels
            return lambda x: layer(self.shaped(as_map(x)))
        return lambda x: layer(self.windows(self.shaped(as_map(x))))

    def inputs(self):
        return [Stream(self.height, self.width, self.channels, self.simd, 1)]

    def outputs(self):
        return [Stream(self.out_height, self.out_width, self.features, self.pe, self.output_bits)]

    def cycles(self):
        return max(self.neuron_fold * self.synapse_fold * max(LEAST_WALK, self.out_pixels), self.inputs()[0].beats)

    def lag(self):
        return self.LAG

    def taken(self):
        (entering,), (leaving,) = self.inputs(), self.outputs()
        return np.full(leaving.beats, entering.beats)

    def timing(self, first, last):
        """Return the cycles of its first and last beats: a frame is collected, computed, and then goes out."""
        done = last + self.cycles()
        return done, done + self.outputs()[0].beats

    def _check(self):
        if reason := self.why_not():
            raise NodeError(reason)

    def _parameters(self) -> dict:
        return {
            "Height": self.height,
            "Width": self.width,
            "Channels": self.channels,
            "Outputs": self.features,
            "Kernel": self.kernel[0],
            "Stride": self.stride[0],
            "Padding": self.padding[0],
            "PadValue": self.pad_value,
            "Pe": self.pe,
            "Simd": self.simd,
        }

    def rtl(self, weights, *constants):
        self._check()
        voter, memories = self.voter_rtl(*constants)
        return Cell("weight_stationary", {**self._parameters(), **voter, "MemoryStyle": self.map_memory}, memories)

    def hls(self, weights, *constants):
        self._check()
        voter, tables = self.voter_hls(*constants)
        memories = self.map_memory, "distributed"
        return stationary_call(self, "weight_stationary", {**self._parameters(), **voter}, tables, memories)

    def cost(self):
        """Return its estimated resources, and those of its port of rtl/weight_stream.sv."""
        maps = ram_cost(2 * self.pixels * self.channels // self.simd, self.simd, self.map_memory)
        sums = ram_cost(self.out_pixels, self.pe * self.sum_bits, "distributed")
        votes = ram_cost(2 * self.out_pixels * self.neuron_fold, self.pe * self.output_bits, "distributed")
        words = 2 * self.pe * self.simd + 2 * self.simd
        walk = Cost(lut=200 if self.out_pixels > 1 else 100, ff=70 + words + self.pe * self.sum_bits)
        return walk + self.lanes_cost() + maps + sums + votes + PORT
