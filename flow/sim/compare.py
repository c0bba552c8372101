"""Where two runs of a network first differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Difference:
    """A stream that differs: how many of its values do, and the index of the first of them in [N, H, W, C]."""

    tensor: str
    values: int
    mismatches: int
    index: tuple[int, ...]
    expected: int
    actual: int

    def __str__(self) -> str:
        return (
            f"{self.tensor}: {self.mismatches} of {self.values} values differ, first at {list(self.index)}: "
            f"{self.actual} instead of {self.expected}"
        )


def first_difference(
    reference: Mapping[str, np.ndarray], streams: Mapping[str, np.ndarray], order: Iterable[str]
) -> Difference | None:
    """Return the first tensor of `order` (topological) in which `streams` differs from `reference`, or None.

    As many frames are compared as `streams` has; tensors that either side lacks are passed over.

    Raises:
        ValueError: there is nothing to compare, or a shape differs: no comparison must not look like equality.
    """
    compared = 0
    for tensor in order:
        if tensor not in reference or tensor not in streams:
            continue
        actual = streams[tensor]
        expected = reference[tensor][: len(actual)]
        if expected.shape != actual.shape:
            raise ValueError(f"{tensor}: shape {actual.shape} instead of {expected.shape}")
        compared += actual.size
        wrong = expected != actual
        if wrong.any():
            index = tuple(int(i) for i in np.argwhere(wrong)[0])
            return Difference(tensor, actual.size, int(wrong.sum()), index, int(expected[index]), int(actual[index]))
    if not compared:
        raise ValueError("no stream is on both sides: nothing was compared")
    return None
