import numpy as np
import pytest

from flow.passes.integer import fit_multiply_shift


@pytest.mark.parametrize("n", [9, 72, 576, 4608])
def test_multiply_and_shift_equal_the_rounded_line_on_every_sum(n):
    rng = np.random.default_rng(n)
    sums = np.arange(-n, n + 1, 2)
    slope = rng.normal(size=40) * rng.choice([0.002, 0.1, 3.0], size=40) * 30 / n**0.5
    slope[0] = 0.0
    bias = rng.normal(size=40) * 20
    targets = np.clip(np.rint(sums[:, None] * slope + bias), -128, 127).astype(np.int64)
    multiplier, offset, shift = fit_multiply_shift(sums, targets, 8, None)
    results = np.clip((sums[:, None] * multiplier + offset) >> shift, -128, 127)
    np.testing.assert_array_equal(results, targets)
    assert np.abs(multiplier).max() < 1 << 31
