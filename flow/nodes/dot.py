"""Exact integer dot products by the machine's matrix multiplication."""

from collections.abc import Callable

import numpy as np


def dot(windows: np.ndarray, weights: np.ndarray, kind=np.float32) -> np.ndarray:
    """Return sums int64 [..., O] of windows [..., n] and weights [O, n].

    ``kind`` is the floating-point type that multiplies; every partial sum must fit its mantissa
    (float32: 2^24, float64: 2^53). One matrix product: numpy would run a stack of thin ones.
    """
    flat = windows.reshape(-1, windows.shape[-1]).astype(kind)
    sums = flat @ np.ascontiguousarray(weights.T, kind)
    return sums.astype(np.int64).reshape(*windows.shape[:-1], len(weights))


def by_groups(
    sums: Callable[[np.ndarray, np.ndarray], np.ndarray], windows: np.ndarray, weights: np.ndarray, groups: int
) -> np.ndarray:
    """Return the sums [..., O] of a convolution of ``groups``: each has its part of the inputs and of the outputs.

    Windows [..., groups * n] come group after group, weights [O, n] too; ``sums`` takes those of one group.
    """
    if groups == 1:
        return sums(windows, weights)
    parts = zip(np.split(windows, groups, axis=-1), np.split(weights, groups))
    return np.concatenate([sums(*part) for part in parts], axis=-1)


def dot_bounds(inputs: tuple[np.ndarray, np.ndarray], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the largest sum [O] of weights [O, n] times values between ``inputs``, two arrays [n]."""
    low, high = (side.astype(np.int64) for side in inputs)
    reach = np.abs(weights.astype(np.float64)) @ np.maximum(np.abs(low), np.abs(high)).astype(np.float64)
    if reach.size and reach.max() >= 2.0**62:  # int64 would wrap
        low, high, weights = (side.astype(object) for side in (low, high, weights))
    positive, negative = np.maximum(weights, 0), np.minimum(weights, 0)
    return positive @ low + negative @ high, positive @ high + negative @ low
