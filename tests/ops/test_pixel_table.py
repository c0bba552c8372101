"""flow/ops/pixel_table.py against a loop over its pixels."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.ops.base import Stream
from tests.ops.nodes import hardware_op


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 16), st.tuples(*[st.integers(1, 3)] * 4), st.integers(0, 2**32 - 1))
def test_equals_loops(bits, shape, seed):
    rng = np.random.default_rng(seed)
    pixels, table = rng.integers(0, 256, shape), rng.integers(-(1 << bits - 1), 1 << bits - 1, 256)
    results = hardware_op("PixelTable", bits=bits).evaluate(pixels, table)
    assert results.shape == shape
    for index, pixel in np.ndenumerate(pixels):
        assert results[index] == table[pixel]


def test_every_pixel():
    """With the table of PixelOffset the two agree."""
    pixels = np.arange(256).reshape(1, 16, 16, 1)
    results = hardware_op("PixelTable", bits=8).evaluate(pixels, np.arange(-128, 128))
    np.testing.assert_array_equal(results, hardware_op("PixelOffset").evaluate(pixels))


def test_streams():
    """Unsigned bytes in, signed numbers of ``bits`` bits out."""
    op = hardware_op("PixelTable", height=4, width=6, channels=3, p=8, bits=6)
    assert op.inputs() == [Stream(4, 6, 3, 8, 8, signed=False)]
    assert op.outputs() == [Stream(4, 6, 3, 8, 6)]
