"""Two straight lines a channel: the form of a PReLU and what is around it."""

from __future__ import annotations

import numpy as np

from flow.nodes.stream import saturate

from .integer import fit_multiply_shift

NEAREST_SHIFT = 16
BENT = ("PRelu", "Relu", "LeakyRelu", "Abs")


def flat_steps(x: np.ndarray, table: np.ndarray, bits: int) -> np.ndarray:
    """Return the least integer [C] of the upper line: of results [K, C] on the ascending x [K, C] that keep one value
    at one end, which is no end of their type, where they begin to change, or end to."""
    ends = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    rows = np.arange(len(table))[:, None]
    changed, changes = table != table[0], table != table[-1]
    below = np.where(changed.any(axis=0), changed.argmax(axis=0), 0)  # the first that differs from the first result
    above = np.where(changes, rows + 1, 0).max(axis=0)  # the first of those that equal the last result
    above = np.minimum(above, len(table) - 1)
    from_below = ~np.isin(table[0], ends) | np.isin(table[-1], ends)
    return np.take_along_axis(x, np.where(from_below, below, above)[None], axis=0)[0]


def fit_lines(x: np.ndarray, table: np.ndarray, steps: np.ndarray, bits: int, node):
    """Return ((down, down_offset, up, up_offset), shift), each [C], with results ``table`` [K, C] on all values x, [K]
    or [K, C].

    The results are saturated to ``bits``; ``steps`` [C] are the least values of the upper lines.

    Raises:
        PassError: a channel is not two straight lines.
    """
    above = x.reshape(len(x), -1) >= steps
    shift, fits = 4, []
    while not fits or any(fit[2] != shift for fit in fits):  # until both lines share a shift
        fits = [fit_multiply_shift(x, table, bits, node, part, shift) for part in (~above, above)]
        shift = max(fit[2] for fit in fits)
    (down, down_offset, _), (up, up_offset, _) = fits
    return (down, down_offset, up, up_offset), shift


def line_results(x: np.ndarray, steps: np.ndarray, lines, shift: int, bits: int) -> np.ndarray:
    """Return the results [K, C] of two lines a channel on the values x [K, C], saturated to ``bits``."""
    down, down_offset, up, up_offset = lines
    above = x >= steps
    product = np.where(above, up, down) * x + np.where(above, up_offset, down_offset)
    return saturate(product >> shift, bits)


def nearest_lines(x: np.ndarray, table: np.ndarray, steps: np.ndarray, bits: int):
    """Return ((down, down_offset, up, up_offset), shift) of the straight lines nearest (least squares) to ``table``
    [K, C] on x [K, C], where it is not saturated."""
    inside = (table > -(1 << (bits - 1))) & (table < (1 << (bits - 1)) - 1)
    above = x >= steps
    lines = []
    for part in (~above, above):
        fits = [_line(x[part[:, c], c], table[part[:, c], c], inside[part[:, c], c]) for c in range(x.shape[1])]
        slope, offset = np.array(fits).T
        lines += [np.rint(slope * (1 << NEAREST_SHIFT)), np.rint((offset + 0.5) * (1 << NEAREST_SHIFT))]
    return tuple(line.astype(np.int64) for line in lines), NEAREST_SHIFT


def _line(x: np.ndarray, y: np.ndarray, inside: np.ndarray) -> tuple[float, float]:
    """Return slope and offset of the line nearest to the results y that are ``inside`` their type.

    Through a single such value goes one that is steep enough for its neighbours, which are not.
    """
    values = np.unique(x[inside])
    if len(values) > 1:
        return tuple(np.polyfit(x[inside], y[inside], 1))
    if not len(values):
        return 0.0, float(y[0] if len(y) else 0)
    (x0,), y0 = values, y[inside][0]
    others = x != x0
    slopes = (y[others] - y0) / (x[others] - x0)
    slope = slopes[np.abs(slopes).argmax()] if others.any() else 0.0
    return float(slope), float(y0 - slope * x0)
