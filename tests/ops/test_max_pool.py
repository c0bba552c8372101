"""flow/ops/max_pool.py against torch, and against a loop over the signs of a window."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.ops.base import Stream
from tests.ops.nodes import hardware_op, random_signs

SHAPES = st.tuples(
    st.integers(1, 2), st.integers(1, 4), st.integers(1, 4), st.integers(1, 5)
)  # N, output rows and columns, C


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(2, 12))
def test_equals_torch(shape, bits):
    n, rows, columns, channels = shape
    x = np.random.default_rng(bits).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (n, 2 * rows, 2 * columns, channels))
    expected = torch.nn.functional.max_pool2d(torch.tensor(x).permute(0, 3, 1, 2).double(), 2).permute(0, 2, 3, 1)
    np.testing.assert_array_equal(hardware_op("MaxPool", bits=bits).evaluate(x), expected.numpy())


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(0, 2**32 - 1))
def test_of_signs_is_their_or(shape, seed):
    n, rows, columns, channels = shape
    x = random_signs(seed, n, 2 * rows, 2 * columns, channels)
    results = hardware_op("MaxPool", bits=1).evaluate(x)
    assert results.shape == shape
    for (image, y, k, c), result in np.ndenumerate(results):
        window = [x[image, 2 * y + i, 2 * k + j, c] for i in (0, 1) for j in (0, 1)]
        assert result == (1 if any(sign == 1 for sign in window) else -1)


def test_halves_the_map():
    op = hardware_op("MaxPool", height=4, width=6, channels=8, p=2, bits=9)
    assert op.outputs() == [Stream(2, 3, 8, 2, 9)]
    assert op.cycles() == 4 * 6 * 4  # beats of the input
