"""Estimated resources of hardware."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class Cost:
    """Estimated resources: look-up tables, flip-flops, 36-Kbit block RAMs (halves allowed), DSP slices."""

    lut: float = 0.0
    ff: float = 0.0
    bram36: float = 0.0
    dsp: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def as_dict(self) -> dict[str, float]:
        """Return the figures by resource."""
        return asdict(self)


BRAM18_SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))  # words, bits


def memory_cost(depth: int, width: int, style: str) -> Cost:
    """Return the cost of a memory of ``depth`` words of ``width`` bits, by its ``style``.

    "distributed": 51 bits a LUT (LUT6 as ROM or RAM, multiplexers included; Yosys estimate).
    "block": the cheapest of the RAMB36 shapes 512x72 to 32Kx1, in halves (RAMB18).
    """
    if style == "distributed":
        return Cost(lut=width * math.ceil(depth / 64) * 1.25, ff=width)
    best = min(math.ceil(depth / words) * math.ceil(width / bits) for words, bits in BRAM18_SHAPES)
    return Cost(lut=width * 0.5 * (depth > 16384), bram36=best / 2)
