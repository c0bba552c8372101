from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .cells import Cell
from .cost import PORT, Cost, ram_cost
from .engine import DDR_WORD, LEAST_WALK
from .errors import NodeError
from .int_engine import IntEngine
from .packing import ddr_bytes
from .stationary import stationary_call

DISTRIBUTED_BITS = 1 << 13  # a map or an output map of at most so many is in LUTs


@dataclass(kw_only=True)
class IntStationary(IntEngine):
    """An integer convolution (see IntEngine) whose weights come from DDR once a frame.

    Each word of them is used for all pixels before the next.

    Kept on the chip are two maps of windows, one of which fills
    while the other is used, the sums of all pixels, and two maps of outputs, which come channel by channel and leave
    pixel by pixel.
    """

    LAG = 2.0  # frames: one is collected, one is computed

    @property
    def ddr_word_bits(self):
        return self.pe * self.simd * self.weight_bits

    @property
    def ddr_words(self):
        return -(-self.features * self.channels * self.weight_bits // DDR_WORD)

    def weight_words(self, weights, *constants):
        return self.packed(weights)

    def ddr_weights(self, weights, *constants):
        return ddr_bytes(self.weight_words(weights), self.ddr_word_bits)

    def why_not(self) -> str | None:
        """Return the reason why there is no such node, or None."""
        if self.conv_groups > 1:
            return "the weights of a grouped convolution do not come from DDR"
        if reason := self.why_too_fast(self.pixels, self.ddr_word_bits):
            return reason
        word, total = self.ddr_word_bits, self.features * self.channels * self.weight_bits
        if max(word, DDR_WORD) % min(word, DDR_WORD) or total % DDR_WORD:
            return (
                f"weights from DDR need pe * simd * {self.weight_bits} bits to divide {DDR_WORD} or be a multiple of "
                f"it, not {word}, and to be whole {DDR_WORD}-bit words, not {total} bits"
            )
        return self.misfit()

    def cycles(self):
        return max(max(LEAST_WALK, self.pixels) * self.neuron_fold * self.synapse_fold, self.inputs()[0].beats)

    def lag(self):
        return self.LAG

    def taken(self):
        (entering,), (leaving,) = self.inputs(), self.outputs()
        return np.full(leaving.beats, entering.beats)

    def timing(self, first, last):
        """Return the cycles of its first and last beats: a frame is collected, computed, and then goes out."""
        done = last + self.cycles()
        return done, done + self.outputs()[0].beats

    @property
    def corrected(self):
        return self.signs  # its weights are no constants

    @property
    def map_memory(self):
        """The memory of the two maps of windows: "distributed" or "block"."""
        return _memory_of(2 * self.pixels * self.channels * self.bits)

    @property
    def output_memory(self):
        """The memory of the two maps of outputs: "distributed" or "block"."""
        return _memory_of(2 * self.pixels * self.features * self.out_bits)

    def evaluate(self, window, weights, bias, multiplier=1):
        return self.convolve(window, weights, bias, multiplier)

    def _check(self):
        if reason := self.why_not():
            raise NodeError(reason)

    def rtl(self, weights, bias, *multiplier):
        self._check()
        parameters, constants = self.rtl_facts(weights, bias, *multiplier)
        styles = {"MapStyle": self.map_memory, "OutputStyle": self.output_memory}
        return Cell("int_stationary", {"Pixels": self.pixels, **parameters, **styles}, constants)

    def hls(self, weights, bias, *multiplier):
        self._check()
        return stationary_call(
            self, "int_stationary", *self.hls_facts(weights, bias, *multiplier), (self.map_memory, self.output_memory)
        )

    def cost(self):
        """Return its estimated resources, and those of its port of rtl/weight_stream.sv."""
        maps = ram_cost(2 * self.pixels * self.synapse_fold, self.simd * self.bits, self.map_memory)
        sums = ram_cost(self.pixels, self.pe * self.acc_bits, "distributed")
        outputs = ram_cost(2 * self.pixels * self.neuron_fold, self.pe * self.out_bits, self.output_memory)
        words = 2 * self.simd * self.bits + 2 * self.pe * self.simd * self.weight_bits
        walk = Cost(lut=10, ff=25 + words)
        return walk + self.sums_cost() + maps + sums + outputs + PORT


def _memory_of(bits: int) -> str:
    return "distributed" if bits <= DISTRIBUTED_BITS else "block"
