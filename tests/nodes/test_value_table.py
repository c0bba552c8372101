"""flow/nodes/value_table.py, rtl/value_table.sv and hls/value_table.hpp."""

import numpy as np
import pytest
from hypothesis import strategies as st

from flow.emit.core import call_of, cell_of
from flow.nodes import Stream
from tests.nodes.harness import SLOW, Case, NodeTests, any_shape, hardware_op
from tests.nodes.refusals import assert_refused
from tests.nodes.test_pixel_offset import pixels


def case(p, out_bits, size=(8, 8, 24), bits=8, unsigned=1, **options):
    height, width, channels = size
    shape = {"height": height, "width": width, "channels": channels, "p": p}
    attributes = {**shape, "bits": bits, "unsigned": unsigned, "out_bits": out_bits}
    feed = pixels if unsigned and bits == 8 else None
    return Case("ValueTable", attributes, draw=table, feed=feed, **options)


def table(op, rng):
    """Values anywhere, the ends among them."""
    low, high = op.outputs()[0].range
    values = rng.integers(low, high + 1, 1 << op.bits)
    values[0], values[-1] = low, high
    return (values,)


class TestValueTable(NodeTests):
    cases = [
        case(1, 8),
        case(3, 2),
        case(8, 13),
        case(2, 6, bits=5, unsigned=0),
        case(1, 9, (4, 4, 6), bits=11, unsigned=0),
        case(4, 3, (4, 4, 8), bits=2, unsigned=0, rtl=SLOW),
        case(1, 4, (4, 4, 8), bits=10, unsigned=1, rtl=SLOW),
        case(1, 8, (16, 16, 1), rtl=SLOW),
        case(3, 2, (10, 30, 3), rtl=SLOW),
        case(16, 32, (4, 10, 16), rtl=SLOW),
    ]
    latency = 1

    @staticmethod
    def reference(op, streams, constants):
        values = [int(value) for value in constants[0]]
        least = 0 if op.unsigned else -(2 ** (op.bits - 1))
        return np.vectorize(lambda x: values[x - least])(streams[0])


test_any_shape = any_shape(
    TestValueTable,
    st.builds(
        case,
        st.just(1),
        st.integers(2, 16),
        st.tuples(*[st.integers(1, 3)] * 3),
        st.integers(2, 9),
        st.integers(0, 1),
    ),
)


def test_every_pixel():
    """With the table of PixelOffset the two agree."""
    x = np.arange(256).reshape(1, 16, 16, 1)
    results = hardware_op("ValueTable", bits=8, unsigned=1).evaluate(x, np.arange(-128, 128))
    np.testing.assert_array_equal(results, hardware_op("PixelOffset").evaluate(x))


def test_streams():
    """Unsigned bytes in, signed numbers of ``out_bits`` bits out."""
    op = hardware_op("ValueTable", height=4, width=6, channels=3, p=8, unsigned=1, out_bits=6)
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
    assert_refused(emit, message, "ValueTable", values, unsigned=1, out_bits=bits)


@pytest.mark.parametrize("bits", [1, 13])
def test_refuses_widths(bits):
    message = f"a table of values of {bits} bits: must be 2 to 12 bits"
    assert_refused(cell_of, message, "ValueTable", np.zeros(1 << bits), bits=bits)


def test_hls_takes_32_bits():
    wide = np.full(256, 1 << 31)
    message = "table 2147483648..2147483648 do not fit int32_t: the HLS headers take no more bits"
    assert_refused(call_of, message, "ValueTable", wide, unsigned=1, out_bits=40)
