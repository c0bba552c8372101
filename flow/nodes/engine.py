"""Nodes that compute sums of products, folded by PE and SIMD."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import HardwareOp
from .errors import NodeError
from .stream import divisors

MAX_SIMD = 64  # inputs a cycle: bits of a native word in the HLS headers
MAX_PE = 64
DDR_WORD = 64  # bits
LEAST_WALK = 2  # cycles of a word of weights from DDR at least: with one pixel the next is there in the second
FEW_PIXELS = 4  # of which DDR keeps up with any word; of fewer with words of so many bits a cycle:
DDR_BITS = 32
MOST_PIXELS = 16  # beyond this, accumulators and two frames of residuals cost more than the weights


@dataclass(kw_only=True)
class Engine(HardwareOp):
    """Sums of products: ``features`` outputs of ``synapses`` inputs each, ``pe`` outputs and ``simd`` inputs a cycle.

    ``conv_groups``: those of a grouped convolution (the ``group`` of ONNX' Conv; the ``group`` of a binary engine are
    neighbours that vote together, another thing). Its window [..., channels] comes group after group, in the order
    "block", and so do its outputs; an output is a sum over the ``synapses`` inputs of its group only.
    """

    features: int
    pe: int = 1
    simd: int = 1
    conv_groups: int = 1

    folding = ("pe", "simd", "memory")

    @property
    def synapses(self) -> int:
        """Inputs of a sum."""
        return self.channels // self.conv_groups

    @property
    def synapse_fold(self) -> int:
        """SF: beats of a window, or of a group of it."""
        return self.synapses // self.simd

    @property
    def neuron_fold(self) -> int:
        """NF: passes over a window, those of all its groups together."""
        return self.features // self.pe

    @property
    def weight_bits(self) -> int:
        """Bits of all its weights."""
        raise NotImplementedError

    def taken(self):
        """Return the beats taken before each output: those of all windows up to that of the output, and of the groups
        up to its own."""
        passes = self.neuron_fold // self.conv_groups
        return np.repeat(np.arange(1, self.pixels * self.conv_groups + 1) * self.synapse_fold, passes)

    def timing(self, first, last):
        """Return the cycles of its first and last beats: the outputs of the last pixel come when it is computed."""
        start, end = super().timing(first, last)
        return start, max(end, last + self.cycles() / self.pixels)

    def misfit(self) -> str | None:
        """Return why it cannot be folded so, or None."""
        groups = self.conv_groups
        if self.features % groups or self.channels % groups:
            return f"{groups} groups must divide its {self.channels} inputs and {self.features} outputs"
        if self.features // groups % self.pe:
            return f"pe {self.pe} must divide its {self.features // groups} outputs{' a group' * (groups > 1)}"
        if self.synapses % self.simd:
            return f"simd {self.simd} must divide its {self.synapses} inputs{' a group' * (groups > 1)}"
        if self.simd > MAX_SIMD:
            return f"simd {self.simd} is above {MAX_SIMD}: lower simd in the plan"
        return None

    def require_fit(self) -> None:
        """Raise NodeError if the folding does not fit."""
        if reason := self.misfit():
            raise NodeError(reason)

    def simds(self, window) -> list[int]:
        """Return the SIMD that it may have after the SlidingWindow ``window``, ascending: whole taps of some
        channels."""
        taps = window.taps_together
        simds = [taps * d for d in divisors(window.channels // self.conv_groups, MAX_SIMD // taps)]
        return [simd for simd in simds if self.variant(pe=1, simd=simd).misfit() is None]

    def pes(self) -> list[int]:
        """Return the PE that it may have, ascending."""
        return divisors(self.features // self.conv_groups, MAX_PE)

    def why_not_ddr(self, window) -> str | None:
        """Return the reason why its weights cannot come from DDR with this folding after ``window``, or None."""
        return "only binary convolutions read their weights from DDR"

    def absorbs(self, window) -> bool:
        """Return whether it gathers the windows of ``window`` itself when its weights come from DDR."""
        return False

    def worth_ddr(self) -> bool:
        """Return whether weights from DDR pay: accumulators and the frames it holds are smaller than the weights."""
        return False

    @staticmethod
    def why_too_fast(pixels: int, word_bits: int) -> str | None:
        """Return why DDR does not keep up with words of ``word_bits`` bits that are each used for ``pixels``, or
        None."""
        most = DDR_BITS * max(LEAST_WALK, pixels)
        if pixels >= FEW_PIXELS or word_bits <= most:
            return None
        size = f"a word of weights has at most {most} bits, not {word_bits}"
        return f"with {pixels} output pixels {size}: lower pe or simd"

    def from_ddr(self, window) -> Engine:
        """Return the node that does its work, and that of ``window`` where it absorbs it, with weights from DDR.

        Raises:
            NodeError: ``why_not_ddr`` says why there is none.
        """
        raise NodeError(self.why_not_ddr(window))
