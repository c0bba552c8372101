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

    def times(self, count: float) -> Cost:
        """Return the cost of ``count`` of them."""
        return Cost(*(getattr(self, f.name) * count for f in fields(self)))

    def as_dict(self) -> dict[str, float]:
        """Return the figures by resource."""
        return asdict(self)


PORT = Cost(lut=320, ff=335)  # of the master that reads weights from DDR: its FIFO and counters, for one layer
BRAM18_SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))  # words, bits


def memory_cost(depth: int, width: int, style: str) -> Cost:
    """Return the cost of a memory of ``depth`` words of ``width`` bits, by its ``style``.

    "distributed": 51 bits a LUT (LUT6 as ROM or RAM, multiplexers included; Yosys estimate).
    "block": the cheapest of the RAMB36 shapes 512x72 to 32Kx1, in halves (RAMB18).
    """
    if style == "distributed":
        return Cost(lut=width * math.ceil(depth / 64) * 1.25, ff=width)
    best = min(math.ceil(depth / words) * math.ceil(width / bits) for words, bits in BRAM18_SHAPES)
    return Cost(lut=_bank_luts(depth, width), bram36=best / 2)


def constants_cost(depth: int, width: int) -> Cost:
    """Return the cost of ``depth`` words of ``width`` bits of constants of outputs, read in turn, and their register.

    A LUT and a flip-flop a bit up to 64 words, and up to 256 words multiplexers that cost none. Bits of few words are
    often equal: there are but 2^depth functions of their address, of which the bits hit so many, if they are random.
    """
    distinct = float(width)
    if depth <= 8:
        distinct = 2.0**depth * -math.expm1(-width / 2.0**depth)
    if depth <= 2:  # the address itself, or nothing
        return Cost(ff=min(width, depth - 1))
    return Cost(lut=distinct * math.ceil(depth / 64) * (1.0 if depth <= 256 else 1.25), ff=distinct)


def table_style(words: int) -> str:
    """Return the rom_style of a table of constants: a LUT holds 64 words of a bit, and tools then use what is constant;
    larger ones become three times as large where they are left to logic."""
    return "auto" if words <= 64 else "distributed"


def ram_cost(depth: int, width: int, style: str) -> Cost:
    """Return the cost of a memory that is written at one address and read at another (a line through Yosys 0.70).

    "distributed": four LUTs hold 64 words of 3 bits or 32 words of 6, and more than one such bank needs a multiplexer
    and a decoder of its writes. "block": as of `memory_cost`.
    """
    if style != "distributed":
        return memory_cost(depth, width, style)
    if depth <= 32:
        return Cost(lut=4 * math.ceil(width / 6))
    banks = math.ceil(depth / 64)
    return Cost(lut=banks * 4 * math.ceil(width / 3) + (banks > 1) * banks * (width / 3 + 1))


def _bank_luts(depth: int, width: int) -> float:
    """Return the LUTs between block RAMs of one memory: where its depth is no power of two Yosys takes fewer block RAMs
    and multiplexes their words."""
    if depth <= 4096:
        return 0.0
    return width * (3.75 if depth & (depth - 1) else 0.5 * math.ceil(depth / 8192))
