"""What the tests of stream modules share."""

import numpy as np
import pytest

RATES = [(1.0, 1.0), (0.6, 0.6), (0.3, 0.9), (0.9, 0.3)]  # p_valid, p_ready

at_all_rates = pytest.mark.parametrize(("p_valid", "p_ready"), RATES)


def random_signed(shape: tuple[int, ...], bits: int, seed: int) -> np.ndarray:
    """Integers over the whole range of `bits`, with its two ends drawn more often."""
    rng = np.random.default_rng(seed)
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    values = rng.integers(low, high + 1, shape)
    ends = rng.integers(0, 10, shape)
    return np.where(ends == 0, low, np.where(ends == 1, high, values))


def random_beats(count: int, width: int, seed: int) -> list[int]:
    rng = np.random.default_rng(seed)
    return [int.from_bytes(rng.bytes(-(-width // 8)), "little") & (1 << width) - 1 for _ in range(count)]


def quick(cases: list, *kept: int) -> list:
    """``cases`` as parameters; those whose index is not in ``kept`` are slow tests. Each costs a build of its own."""
    return [case if index in kept else pytest.param(case, marks=pytest.mark.slow) for index, case in enumerate(cases)]
