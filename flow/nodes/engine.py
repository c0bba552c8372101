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
LEAST_PIXELS = 4  # of a layer whose weights come from DDR: each word is used for so many cycles at least
MOST_PIXELS = 16  # beyond this, accumulators and two frames of residuals cost more than the weights


@dataclass(kw_only=True)
class Engine(HardwareOp):
    """Sums of products: ``features`` outputs of a window of ``synapses`` inputs, ``pe`` outputs and ``simd`` inputs a
    cycle."""

    features: int
    pe: int = 1
    simd: int = 1

    folding = ("pe", "simd", "memory")

    @property
    def synapses(self) -> int:
        """Inputs of a sum."""
        return self.channels

    @property
    def synapse_fold(self) -> int:
        """SF: beats of a window."""
        return self.synapses // self.simd

    @property
    def neuron_fold(self) -> int:
        """NF: passes over a window."""
        return self.features // self.pe

    @property
    def weight_bits(self) -> int:
        """Bits of all its weights."""
        raise NotImplementedError

    def taken(self):
        """Return the beats taken before each output: those of all windows up to that of the output."""
        return np.repeat(np.arange(1, self.pixels + 1) * self.synapse_fold, self.neuron_fold)

    def timing(self, first, last):
        """Return the cycles of its first and last beats: the outputs of the last pixel come when it is computed."""
        start, end = super().timing(first, last)
        return start, max(end, last + self.cycles() / self.pixels)

    def misfit(self) -> str | None:
        """Return why it cannot be folded so, or None."""
        if self.features % self.pe:
            return f"pe {self.pe} must divide its {self.features} outputs"
        if self.synapses % self.simd:
            return f"simd {self.simd} must divide its {self.synapses} inputs"
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
        simds = [taps * d for d in divisors(window.channels, MAX_SIMD // taps)]
        return [simd for simd in simds if self.variant(pe=1, simd=simd).misfit() is None]

    def pes(self) -> list[int]:
        """Return the PE that it may have, ascending."""
        return divisors(self.features, MAX_PE)

    def why_not_ddr(self, window) -> str | None:
        """Return the reason why its weights cannot come from DDR with this folding after ``window``, or None."""
        return "only binary convolutions read their weights from DDR"

    def absorbs(self, window) -> bool:
        """Return whether it gathers the windows of ``window`` itself when its weights come from DDR."""
        return False

    def worth_ddr(self) -> bool:
        """Return whether weights from DDR pay: accumulators and the frames it holds are smaller than the weights."""
        return False

    def from_ddr(self, window) -> Engine:
        """Return the node that does its work, and that of ``window`` where it absorbs it, with weights from DDR.

        Raises:
            NodeError: ``why_not_ddr`` says why there is none.
        """
        raise NodeError(self.why_not_ddr(window))
