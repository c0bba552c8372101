"""What flows between nodes: streams of integers, their ranges and intervals."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

import numpy as np

Interval = tuple[np.ndarray, np.ndarray]
"""Least and largest integer [C] of a stream's channels."""


@dataclass(frozen=True)
class Stream:
    """A feature-map stream: NHWC shape without N, elements a beat, bits an element.

    ``masked``: one bit more a beat, the highest, says that all its elements are 0 (bipolar windows padded with 0).
    """

    height: int
    width: int
    channels: int
    parallel: int
    bits: int
    signed: bool = True
    masked: bool = False

    @property
    def elements(self) -> int:
        """Elements a frame."""
        return self.height * self.width * self.channels

    @property
    def beats(self) -> int:
        """Beats a frame."""
        return self.elements // self.parallel

    @property
    def beat_bits(self) -> int:
        """Bits of a beat."""
        return self.parallel * self.bits + self.masked

    @property
    def bipolar(self) -> bool:
        """Whether it carries -1 and +1 only."""
        return self.bits == 1 and not self.masked

    @property
    def datatype(self) -> str:
        """The name that qonnx gives its integers."""
        if self.masked:
            return "TERNARY"
        if self.bipolar:
            return "BIPOLAR"
        return f"{'INT' if self.signed else 'UINT'}{self.bits}"

    @property
    def range(self) -> tuple[int, int]:
        """The least and the largest integer that it can carry."""
        if self.bits == 1:
            return -1, 1
        if self.signed:
            return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        return 0, (1 << self.bits) - 1

    def as_dict(self) -> dict:
        """Return its fields, as manifests hold them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, entry: dict) -> Stream:
        """Return the stream of a manifest's entry, which may hold more."""
        return cls(**{field.name: entry[field.name] for field in fields(cls)})


def signed_bits(*values) -> int:
    """Return the bits of the narrowest signed integer that holds all ``values``, numbers or arrays."""
    ends = [int(end) for value in values for end in (np.min(value), np.max(value))]
    return max((end if end >= 0 else ~end).bit_length() for end in ends) + 1


def saturate(values: np.ndarray, bits: int) -> np.ndarray:
    """Return ``values`` clamped to the signed range of ``bits``: -2^(bits - 1) .. 2^(bits - 1) - 1."""
    return np.clip(values, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def divisors(value: int, limit: int | None = None) -> list[int]:
    """Return the divisors of ``value`` up to ``limit``, ascending."""
    return [d for d in range(1, min(value, limit or value) + 1) if value % d == 0]
