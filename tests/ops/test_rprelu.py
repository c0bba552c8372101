"""flow/ops/rprelu.py against Python's integers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.ops.base import Stream
from tests.ops.nodes import hardware_op


def activation(x, before, slope, after, bits):
    """RPReLU of one element: the slope divides and rounds down."""
    u = x + before
    y = (u if u >= 0 else u // 2**slope) + after
    return min(max(y, -(2 ** (bits - 1))), 2 ** (bits - 1) - 1)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 16), st.tuples(*[st.integers(1, 3)] * 3), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_equals_loops(bits, shape, channels, seed):
    rng = np.random.default_rng(seed)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1)
    x = rng.integers(low, high, (*shape, channels))
    before, after = rng.integers(low, high, (2, channels))
    slope = rng.integers(0, bits, channels)
    results = hardware_op("RPReLU", bits=bits).evaluate(x, before, slope, after)
    for (*pixel, c), element in np.ndenumerate(x):
        assert results[(*pixel, c)] == activation(int(element), int(before[c]), int(slope[c]), int(after[c]), bits)


@pytest.mark.parametrize(
    ("x", "slope", "expected"),
    [(-1, 3, -1), (-8, 3, -1), (-9, 3, -2), (-128, 7, -1), (-5, 0, -5), (0, 7, 0), (7, 3, 7)],
)
def test_the_slope_rounds_down(x, slope, expected):
    zero = np.array([0])
    assert hardware_op("RPReLU", bits=8).evaluate(np.array([[x]]), zero, np.array([slope]), zero) == expected


@pytest.mark.parametrize(
    ("x", "before", "slope", "after", "expected"),
    [(127, 127, 0, -127, 127), (100, 100, 0, 0, 127), (-128, -128, 0, 100, -128), (-128, -128, 1, 28, -100)],
)
def test_only_the_last_addition_saturates(x, before, slope, after, expected):
    constants = (np.array([value]) for value in (before, slope, after))
    assert hardware_op("RPReLU", bits=8).evaluate(np.array([[x]]), *constants) == expected


@pytest.mark.parametrize("bits", range(2, 18))
def test_every_slope_fits_its_bits(bits):
    assert 2 ** hardware_op("RPReLU", bits=bits).slope_bits > bits - 1


def test_keeps_its_stream():
    op = hardware_op("RPReLU", height=4, width=6, channels=8, p=2, bits=9)
    assert op.outputs() == op.inputs() == [Stream(4, 6, 8, 2, 9)]
