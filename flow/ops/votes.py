"""What stands behind the sums of a binary layer: the arithmetic of XnorPopcount's and WeightStationary's activations."""

import math

import numpy as np

from .base import Interval, saturate
from .dot import dot

ACTIVATIONS = ("majority_vote", "threshold", "popcount_scale", "sum")
ATTRIBUTES = {
    "activation": ("s", True, "majority_vote"),
    "threshold": ("i", False, 0),
    "group": ("i", False, 0),
    "group_threshold": ("i", False, 0),
    "shift": ("i", False, 0),
    "out_bits": ("i", False, 1),
}


def activate(op, windows: np.ndarray, weights: np.ndarray, *constants: np.ndarray) -> np.ndarray:
    """Output [N, OH, OW, O] of ``op`` for windows [N, OH, OW, n] and weights [O, n], with s = sum(w * x).

    - ``majority_vote``: +1 if s >= threshold else -1; 0 is the exact majority, whose tie votes +1. With a ``group``
      G > 0 the voter is hierarchical: every G neighbours (the last group may be shorter) vote first, +1 if their sum is
      ``group_threshold`` or more (0: a tie votes +1, 1: it votes -1), and s is the sum of the group votes.
    - ``threshold``: +1 if s >= threshold[c] else -1; constants threshold [O].
    - ``popcount_scale``: saturate((multiplier * s + offset) >> shift) on ``out_bits`` bits; constants multiplier [O]
      and offset [O]: the integer multiply that PopBin removes.
    - ``sum``: s on ``out_bits`` bits.

    Masked windows hold 0 where a tap lies outside the map: it has no part in s.

    Raises:
        ValueError: a grouped voter on masked windows: a group of zeros has no majority.
    """
    if op.group and not windows.all():
        raise ValueError(f"{op.name}: a grouped voter cannot take windows padded with zeros: pad with -1 or +1")
    sums = group_votes(windows, weights, op.group, op.group_threshold) if op.group else dot(windows, weights)
    return _activation(op, sums, *constants)


def _activation(op, sums: np.ndarray, *constants: np.ndarray) -> np.ndarray:
    if op.activation == "popcount_scale":
        multiplier, offset = constants
        return saturate((sums * multiplier + offset) >> op.shift, op.out_bits)
    if op.activation == "sum":
        return sums
    (threshold,) = constants or (op.threshold,)
    return np.where(sums >= threshold, 1, -1).astype(np.int8)


def output_bounds(op, inputs: int, constants: tuple[np.ndarray, ...]) -> Interval:
    """Bounds [O] of ``op``'s outputs for all sums of ``inputs`` signs; every activation is monotone in the sum."""
    if op.group:
        inputs = math.ceil(inputs / op.group)
    sides = np.full(op.features, -inputs), np.full(op.features, inputs)
    results = [_activation(op, side, *constants) for side in sides]
    return np.minimum(*results), np.maximum(*results)


def group_votes(windows: np.ndarray, weights: np.ndarray, group: int, threshold: int) -> np.ndarray:
    """Sum of the votes (-1, +1) of every ``group`` neighbours [..., O].

    Groups of three: the majority of x, y, z is (x + y + z - xyz) / 2 for x, y, z in {-1, +1}, so the sum over all groups
    takes two products of matrices, the second on a third of the elements (DESIGN 3).
    """
    n = windows.shape[-1]
    if group == 3 and n % 3 == 0 and threshold in (0, 1):
        products = [
            array.reshape(*array.shape[:-1], n // 3, 3).astype(np.int64).prod(-1) for array in (windows, weights)
        ]
        return (dot(windows, weights) - dot(*products)) >> 1
    total = 0
    for start in range(0, n, group):
        part = slice(start, start + group)
        total = total + np.where(dot(windows[..., part], weights[:, part]) >= threshold, 1, -1)
    return total


def table_bits(op, inputs: int) -> int:
    """Bits of an output's constants, for sums of ``inputs`` products."""
    sum_bits = int(inputs).bit_length() + 1
    return {"threshold": sum_bits, "popcount_scale": 2 * (op.out_bits + op.shift)}.get(op.activation, 0)


def output_bits(op) -> int:
    """Bits of an output."""
    return 1 if op.activation in ("majority_vote", "threshold") else op.out_bits


def least_matches(size: int, threshold: int) -> int:
    """The fewest matches p among ``size`` signs with 2p - size >= threshold: what a circuit compares its popcount with."""
    return (size + threshold + 1) >> 1
