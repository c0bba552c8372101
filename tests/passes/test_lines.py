"""Two lines a channel, found again from what they do to every value."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from flow.passes import PassError
from flow.passes.lines import fit_lines, line_results, nearest_lines

NODE = helper.make_node("Quant", ["x"], ["y"], name="act")


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 8), st.integers(0, 10**6))
def test_two_lines_are_found_again(bits, seed):
    rng, half = np.random.default_rng(seed), 1 << (bits - 1)
    x, steps = np.arange(-half, half), rng.integers(-half, half + 1, 5)
    lines = [rng.integers(-40, 41, 5), rng.integers(-16 * half, 16 * half, 5)] * 2
    table = line_results(x[:, None], steps, lines, 4, bits)
    found, shift = fit_lines(x, table, steps, bits, NODE)
    assert shift >= 4
    np.testing.assert_array_equal(line_results(x[:, None], steps, found, shift, bits), table)


def test_a_curve_is_no_two_lines():
    x = np.arange(-16, 16)
    with pytest.raises(PassError, match=r"act \(Quant\): no 32-bit multiplier"):
        fit_lines(x, (x[:, None] ** 2) // 16, np.array([0]), 6, NODE)


def test_the_nearest_lines_of_exact_lines():
    """Of halves that are rounded to even; a channel of one value has lines of slope 0."""
    x = np.arange(-16, 16)
    table = np.stack([np.rint(x / 2), np.rint(1.5 * x).clip(-16, 15), np.full(32, 15), np.full(32, -16)], 1).astype(int)
    steps = np.array([0, 0, 0, 16])
    x = x[:, None] + np.zeros(4, int)
    lines, shift = nearest_lines(x, table, steps, 5)
    error = np.abs(line_results(x, steps, lines, shift, 5) - table)
    assert error.max() <= 1 and not error[:, 2:].any()


@settings(max_examples=40, deadline=None)
@given(st.integers(5, 9), st.integers(0, 10**6))
def test_two_lines_are_fitted_exactly(bits, seed):
    rng, half = np.random.default_rng(seed), 1 << (bits - 1)
    x = np.arange(-half, half)
    steps = rng.integers(-half, half + 1, 4)
    slopes, offsets = rng.uniform(-1.5, 1.5, (2, 4)), rng.uniform(-half / 2, half / 2, (2, 4))
    above = x[:, None] >= steps
    real = np.where(above, slopes[1], slopes[0]) * x[:, None] + np.where(above, offsets[1], offsets[0])
    table = np.clip(np.rint(real), -half, half - 1).astype(np.int64)
    (down, down_offset, up, up_offset), shift = fit_lines(x, table, steps, bits, NODE)
    product = np.where(above, up, down) * x[:, None] + np.where(above, up_offset, down_offset)
    np.testing.assert_array_equal(np.clip(product >> shift, -half, half - 1), table)
