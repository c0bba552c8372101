"""Integer forms of real scales: multiply, add and shift."""

from __future__ import annotations

import json

import numpy as np

from .chain import has_constants_of_channels
from .rewrite import refuse

AFFINE = ("Add", "Sub", "Mul", "Div", "Neg", "BatchNormalization", "Identity")
MULTIPLIER_BITS = 32  # 4,609 sums fix a slope to about one part in 10^8
LARGEST_SHIFT = 40
STEPS = 90


def fit_multiply_shift(
    sums: np.ndarray, targets: np.ndarray, bits: int, node, binding: np.ndarray | None = None, least_shift: int = 4
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return multiplier and offset per channel and one shift with ``(m * s + b) >> shift == target`` for all sums.

    A channel's condition is ``low_i <= m * s_i + b < high_i`` in real numbers, where a saturated
    target bounds one side only. For a slope m there is such a b if the gap
    ``min(high_i - m s_i) - max(low_i - m s_i)`` is positive, and the gap is concave in m: a
    ternary search finds its maximum, and the smallest shift whose rounded slopes fit is taken.

    Args:
        sums: int [K], ascending, or [K, C]. targets: int [K, C], already saturated to ``bits``.
        binding: bool [K, C], the targets that must be met; all by default.
        least_shift: the smallest shift to try.

    Raises:
        PassError: no multiplier of MULTIPLIER_BITS gives a channel's result on every sum.
    """
    lowest, highest = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    binding = np.ones(targets.shape, bool) if binding is None else binding
    sums = sums.reshape(len(sums), -1)
    low = np.where((targets == lowest) | ~binding, -np.inf, targets.astype(float))
    high = np.where((targets == highest) | ~binding, np.inf, targets + 1.0)
    reason = f"no {MULTIPLIER_BITS}-bit multiplier and shift give its result on every popcount"
    if not _may_be_straight(sums.astype(float), low, high):
        raise refuse(node, reason)
    slopes = _best_slopes(sums.astype(float), low, high)
    for shift in range(least_shift, LARGEST_SHIFT + 1):
        multipliers = np.rint(slopes * 2.0**shift).astype(np.int64)
        if np.abs(multipliers).max() >= 1 << (MULTIPLIER_BITS - 1):
            break
        products = sums * multipliers
        least = _finite(low, np.ceil(low * 2.0**shift) - products, -np.inf).max(axis=0)
        most = _finite(high, np.ceil(high * 2.0**shift) - 1 - products, np.inf).min(axis=0)
        if (least <= most).all():
            least, most = np.where(np.isinf(least), most, least), np.where(np.isinf(most), least, most)
            least, most = (np.where(np.isinf(bound), 0.0, bound) for bound in (least, most))  # nothing binds
            offsets = np.floor((least + most) / 2).astype(np.int64)
            if (np.clip((products + offsets) >> shift, lowest, highest) == targets)[binding].all():
                return multipliers, offsets, shift
    raise refuse(node, reason)


def dyadic_multiply_shift(gain: np.ndarray, offset: np.ndarray, rounds: bool):
    """Return multiplier, offset [C], shift and whether halves go to the even neighbour, which give ``gain * s +
    offset`` to the nearest integer, or down to one unless it ``rounds``; None where no shift up to LARGEST_SHIFT makes
    integers of gain and offset."""
    for shift in range(LARGEST_SHIFT):
        multiplier, bias = gain * 2.0**shift, offset * 2.0**shift
        if np.array_equal(multiplier, np.rint(multiplier)) and np.array_equal(bias, np.rint(bias)):
            break
    else:
        return None
    half = 1 << (shift - 1) if rounds and shift else 0
    whole, added = multiplier.astype(np.int64), bias.astype(np.int64) + half
    return whole, added, shift, half > 0 and _has_odd_halves(whole, added, shift)


def _has_odd_halves(multiplier: np.ndarray, offset: np.ndarray, shift: int) -> bool:
    """Return whether ``(m * s + b) >> shift`` of some integer s and channel drops nothing and is odd: with half of what
    is dropped in b, that is a half that does not go to the even neighbour."""
    divisors = np.gcd(multiplier, 2 << shift)  # of all that m * s is, on a circle of so many numbers
    return bool((((1 << shift) - offset) % divisors == 0).any())


def nearest_multiply_shift(sums: np.ndarray, targets: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return multiplier, offset and shift as `fit_multiply_shift` does, of the widest multipliers there are, where none
    gives all targets: most are met, others are missed by 1."""
    lowest, highest = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    low = np.where(targets == lowest, -np.inf, targets.astype(float))
    high = np.where(targets == highest, np.inf, targets + 1.0)
    slopes = _best_slopes(sums.astype(float), low, high)
    room = 1 << (MULTIPLIER_BITS - 1)
    shift = max(s for s in range(LARGEST_SHIFT + 1) if s == 0 or np.abs(slopes).max() * 2.0**s < room)
    multipliers = np.rint(slopes * 2.0**shift).astype(np.int64)
    products = sums * multipliers
    least = _finite(low, np.ceil(low * 2.0**shift) - products, -np.inf).max(axis=0)
    most = _finite(high, np.ceil(high * 2.0**shift) - 1 - products, np.inf).min(axis=0)
    least, most = np.where(np.isinf(least), most, least), np.where(np.isinf(most), least, most)
    least, most = (np.where(np.isinf(bound), 0.0, bound) for bound in (least, most))
    return multipliers, np.floor((least + most) / 2).astype(np.int64), shift


def affine_constants(model, chain, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return gain and offset float64 [channels] of a chain of constants: y = gain * x + offset.

    Raises:
        PassError: a node of the chain is not affine, or its constants are not of channels.
    """
    gain, offset = np.ones(channels), np.zeros(channels)
    for node in chain:
        if not has_constants_of_channels(model, node):
            raise refuse(node, "its operands are not one stream and constants of its channels")
        constants = [
            model.get_initializer(name) for name in node.input if name and model.get_initializer(name) is not None
        ]
        if node.op_type == "BatchNormalization":
            scale, bias, mean, var = (value.astype(np.float64) for value in constants)
            epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
            slope = scale / np.sqrt(var + epsilon)
            gain, offset = gain * slope, offset * slope + bias - mean * slope
            continue
        if node.op_type not in AFFINE:
            raise refuse(node, "is no multiplication or addition of constants")
        operand = np.broadcast_to(np.asarray(constants[0] if constants else 0.0, np.float64).ravel(), channels)
        first = bool(constants) and model.get_initializer(node.input[0]) is not None
        match node.op_type:
            case "Mul":
                gain, offset = gain * operand, offset * operand
            case "Div" if not first:
                gain, offset = gain / operand, offset / operand
            case "Add":
                offset = offset + operand
            case "Sub":
                gain, offset = (-gain, operand - offset) if first else (gain, offset - operand)
            case "Neg":
                gain, offset = -gain, -offset
            case "Identity":
                pass
            case _:
                raise refuse(node, "is no multiplication or addition of constants")
    return gain, offset


def logit_affine(model) -> tuple[float, float | list[float]]:
    """Return the real value of one unit of an integer graph's logits, and what is added: one number, or one a class."""
    scale, offset = (
        json.loads(model.get_metadata_prop(f"logit_{n}") or s) for n, s in (("scale", "1"), ("offset", "0"))
    )
    return float(scale), offset


def _finite(bound: np.ndarray, value: np.ndarray, other: float) -> np.ndarray:
    return np.where(np.isinf(bound), other, value)


def _best_slopes(sums: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the slope of the largest gap for every channel; 0 for one that has a single value."""
    finite = np.concatenate([bound[np.isfinite(bound)] for bound in (low, high)] + [np.zeros(1)])
    span = finite.max() - finite.min()
    step = _least_step(sums)
    left = np.full(low.shape[1], -2.0 * (span + 1) / step)
    right = -left
    for _ in range(STEPS):
        third = (right - left) / 3
        a, b = left + third, right - third
        rising = _gap(sums, low, high, a) < _gap(sums, low, high, b)
        left, right = np.where(rising, a, left), np.where(rising, right, b)
    slopes = (left + right) / 2
    return np.where((low == low[0]).all(axis=0) & (high == high[0]).all(axis=0), 0.0, slopes)


def _may_be_straight(sums: np.ndarray, low: np.ndarray, high: np.ndarray) -> bool:
    """Return False if the bounds of sums that are 1, 2, 4, ... places apart leave no slope in a channel: what is
    curved is told so at once."""
    sums = np.broadcast_to(sums, low.shape)
    least, most, apart = np.full(low.shape[1], -np.inf), np.full(low.shape[1], np.inf), 1
    while apart < len(sums):
        step = sums[apart:] - sums[:-apart]
        step = np.where(step > 0, step, np.nan)
        least = np.fmax(least, np.fmax.reduce((low[apart:] - high[:-apart]) / step))
        most = np.fmin(most, np.fmin.reduce((high[apart:] - low[:-apart]) / step))
        apart *= 2
    return bool((least <= most).all())


def _least_step(sums: np.ndarray) -> float:
    """Return the least distance of two sums of a channel."""
    steps = np.diff(np.sort(sums, axis=0), axis=0)
    return float(steps[steps > 0].min(initial=np.inf)) if (steps > 0).any() else 1.0


def _gap(sums, low, high, slope):
    products = sums * slope
    return (high - products).min(axis=0) - (low - products).max(axis=0)
