"""Integer forms of real scales: multiply, add and shift."""

from __future__ import annotations

import numpy as np

from .rewrite import refuse

MULTIPLIER_BITS = 16


def fit_multiply_shift(sums: np.ndarray, targets: np.ndarray, bits: int, node) -> tuple[np.ndarray, np.ndarray, int]:
    """Multiplier and offset per channel and one shift with ``(m * s + b) >> shift == target`` for all sums.

    Args:
        sums: int [K], ascending. targets: int [K, C], already saturated to ``bits``.

    Raises:
        PassError: no 16-bit multiplier gives a channel's result on every sum.
    """
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    for shift in range(4, 25):
        multipliers, offsets = [], []
        for target in targets.T:
            found = _fit_channel(sums, target, shift, low, high)
            if found is None:
                break
            multipliers.append(found[0])
            offsets.append(found[1])
        else:
            return np.array(multipliers), np.array(offsets), shift
    raise refuse(node, f"no {MULTIPLIER_BITS}-bit multiplier and shift give its result on every popcount")


def _fit_channel(sums, target, shift, low, high):
    """m and b with floor((m*s + b) / 2^shift) == target, where a saturated target is only a bound."""
    inside = (target > low) & (target < high)
    if not inside.any():
        step = np.flatnonzero(np.diff(target))
        if len(step) == 0:
            return 0, int(target[0]) << shift
        return None if len(step) > 1 else _steep(sums, target, step[0], shift)
    unit = 1 << shift
    floor_low = np.where(target == low, -np.inf, target * float(unit))
    floor_high = np.where(target == high, np.inf, (target + 1) * float(unit) - 1)
    x, y = sums[inside].astype(float), (target[inside] + 0.5) * unit
    slope = np.polyfit(x, y, 1)[0] if len(x) > 1 else 0.0
    for multiplier in sorted(range(int(np.floor(slope)) - 3, int(np.ceil(slope)) + 4), key=lambda m: abs(m - slope)):
        if abs(multiplier) >= 1 << (MULTIPLIER_BITS - 1):
            continue
        least = np.ceil((floor_low - multiplier * sums).max())
        most = np.floor((floor_high - multiplier * sums).min())
        if least <= most:
            return multiplier, int((least + most) // 2)
    return None


def _steep(sums, target, step, shift):
    """A step from one saturated end to the other between two neighbouring sums."""
    multiplier = (1 << (MULTIPLIER_BITS - 1)) - 1
    multiplier = multiplier if target[step + 1] > target[step] else -multiplier
    middle = (sums[step] + sums[step + 1]) // 2
    offset = -multiplier * int(middle)
    result = (multiplier * sums + offset) >> shift
    return (multiplier, offset) if np.array_equal(np.clip(result, target.min(), target.max()), target) else None
