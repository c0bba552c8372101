"""flow/nodes/pixel_table.py, rtl/pixel_table.sv and hls/pixel_table.hpp."""

import numpy as np
import pytest
from hypothesis import strategies as st

from flow.emit.core import call_of, cell_of
from flow.nodes import Stream
from tests.nodes.harness import SLOW, Case, NodeTests, any_shape, hardware_op
from tests.nodes.refusals import assert_refused
from tests.nodes.test_pixel_offset import pixels


def case(p, bits, size=(8, 8, 24), **options):
    height, width, channels = size
    attributes = {"height": height, "width": width, "channels": channels, "p": p, "bits": bits}
    return Case("PixelTable", attributes, draw=table, feed=pixels, **options)


def table(op, rng):
    """Values anywhere, the ends among them."""
    low, high = op.outputs()[0].range
    values = rng.integers(low, high + 1, 256)
    values[0], values[255] = low, high
    return (values,)


class TestPixelTable(NodeTests):
    cases = [
        case(1, 8),
        case(3, 2),
        case(8, 13),
        case(1, 8, (16, 16, 1), rtl=SLOW),
        case(3, 2, (10, 30, 3), rtl=SLOW),
        case(16, 32, (4, 10, 16), rtl=SLOW),
    ]
    latency = 1

    @staticmethod
    def reference(op, streams, constants):
        values = [int(value) for value in constants[0]]
        return np.vectorize(lambda pixel: values[pixel])(streams[0])


test_any_shape = any_shape(
    TestPixelTable, st.builds(case, st.just(1), st.integers(2, 16), st.tuples(*[st.integers(1, 3)] * 3))
)


def test_every_pixel():
    """With the table of PixelOffset the two agree."""
    x = np.arange(256).reshape(1, 16, 16, 1)
    results = hardware_op("PixelTable", bits=8).evaluate(x, np.arange(-128, 128))
    np.testing.assert_array_equal(results, hardware_op("PixelOffset").evaluate(x))


def test_streams():
    """Unsigned bytes in, signed numbers of ``bits`` bits out."""
    op = hardware_op("PixelTable", height=4, width=6, channels=3, p=8, bits=6)
    assert op.inputs() == [Stream(4, 6, 3, 8, 8, signed=False)]
    assert op.outputs() == [Stream(4, 6, 3, 8, 6)]


@pytest.mark.parametrize("emit", [cell_of, call_of])
@pytest.mark.parametrize(
    ("bits", "values", "message"),
    [
        (8, np.arange(256), "256 values 0..255: must be 256 of 8 signed bits"),
        (8, np.arange(-129, 127), "256 values -129..126: must be 256 of 8 signed bits"),
        (9, np.arange(-257, -1), "256 values -257..-2: must be 256 of 9 signed bits"),
        (8, np.zeros(255), "255 values 0..0: must be 256 of 8 signed bits"),
    ],
    ids=["high", "low", "lower", "short"],
)
def test_refuses_tables(emit, bits, values, message):
    assert_refused(emit, message, "PixelTable", values, bits=bits)


def test_hls_takes_32_bits():
    wide = np.full(256, 1 << 31)
    message = "table 2147483648..2147483648 do not fit int32_t: the HLS headers take no more bits"
    assert_refused(call_of, message, "PixelTable", wide, bits=40)
