"""flow/nodes/rprelu.py, rtl/rprelu.sv and hls/rprelu.hpp."""

import numpy as np
import pytest
from hypothesis import strategies as st

from flow.emit.core import call_of, cell_of
from flow.nodes import NodeError, Stream
from tests.nodes.harness import SLOW, Case, NodeTests, any_shape, draw_stream, hardware_op
from tests.nodes.refusals import assert_header_refuses, assert_module_refuses, assert_refused
from tests.rtl.streams import random_signed


def case(channels, p, bits, size=(4, 5), **options):
    height, width = size
    attributes = {"height": height, "width": width, "channels": channels, "p": p, "bits": bits}
    return Case("RPReLU", attributes, draw=constants, feed=near_the_bend, **options)


def constants(op, rng):
    """Before, slope, after: their ends and zeros, and every slope that there are channels for."""
    low, high = op.inputs()[0].range
    before, after = (random_signed((op.channels,), op.bits, int(rng.integers(1 << 32))) for _ in range(2))
    before[:3], after[:3] = (low, 0, high)[: op.channels], (low, 0, high)[: op.channels]
    before[-1] = after[-1] = 0
    return before, np.arange(op.channels) % op.bits, after


def near_the_bend(op, rng, frames, constants):
    """The ends, u = x + before of -1, 0 and 1 wherever that can be, and anything."""
    x = draw_stream(op.inputs()[0], rng, frames)
    near = -constants[0] + rng.integers(-1, 2, x[2].shape)
    x[2] = near.clip(*op.inputs()[0].range)
    return (x,)


def activation(x, before, slope, after, bits):
    """RPReLU of one element: the slope divides and rounds down."""
    u = x + before
    y = (u if u >= 0 else u // 2**slope) + after
    return min(max(y, -(2 ** (bits - 1))), 2 ** (bits - 1) - 1)


def every_constant(p):
    """All x of 4 bits with all slopes and the ends, zeros and ones of before and after."""
    bits = 4
    ends = [-(1 << bits - 1), -1, 0, 1, (1 << bits - 1) - 1]
    tables = [axis.ravel() for axis in np.meshgrid(ends, range(bits), ends)]
    x = np.repeat(np.arange(-(1 << bits - 1), 1 << bits - 1)[:, None], tables[0].size, axis=1)
    return Case(
        "RPReLU",
        {"height": 1, "width": len(x), "channels": tables[0].size, "p": p, "bits": bits},
        draw=lambda op, rng: tables,
        feed=lambda op, rng, frames, constants: (x[None, None],),
        frames=1,
        label=f"every_constant-P{p}",
    )


class TestRPReLU(NodeTests):
    cases = [
        case(10, 10, 10),
        case(12, 4, 8),
        case(64, 1, 12),
        case(6, 3, 2),
        every_constant(4),
        every_constant(2),
        case(6, 1, 2, rtl=SLOW),
        case(64, 8, 10, (16, 16), rtl=SLOW),
        case(128, 128, 8, rtl=SLOW),
        case(16, 4, 16, rtl=SLOW),
    ]
    latency = 3
    resets = (0.001, 0.1, 0.5)

    @staticmethod
    def reference(op, streams, constants):
        """Python's integers."""
        results = np.zeros(streams[0].shape, int)
        for (*pixel, c), element in np.ndenumerate(streams[0]):
            channel = (int(constant[c]) for constant in constants)
            results[(*pixel, c)] = activation(int(element), *channel, op.bits)
        return results


test_any_shape = any_shape(
    TestRPReLU,
    st.builds(
        case,
        st.integers(1, 6),
        st.just(1),
        st.integers(2, 16),
        st.tuples(st.integers(1, 3), st.integers(1, 3)),
    ),
)


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
    tables = (np.array([value]) for value in (before, slope, after))
    assert hardware_op("RPReLU", bits=8).evaluate(np.array([[x]]), *tables) == expected


@pytest.mark.parametrize("bits", range(2, 18))
def test_every_slope_fits_its_bits(bits):
    assert 2 ** hardware_op("RPReLU", bits=bits).slope_bits > bits - 1


def test_keeps_its_stream():
    op = hardware_op("RPReLU", height=4, width=6, channels=8, p=2, bits=9)
    assert op.outputs() == op.inputs() == [Stream(4, 6, 8, 2, 9)]


WRONG = [
    ((-257, 0, 0), "before -257..-257 is not within -256..255"),
    ((0, 9, 0), "slope 9..9 is not within 0..8"),
    ((0, -1, 0), "slope -1..-1 is not within 0..8"),
    ((0, 0, 256), "after 256..256 is not within -256..255"),
]


@pytest.mark.parametrize(("values", "message"), WRONG)
def test_rtl_and_evaluate_refuse_constants(values, message):
    tables = [np.full(2, value) for value in values]
    assert_refused(cell_of, message, "RPReLU", *tables, channels=2, bits=9)
    with pytest.raises(NodeError, match=f"^{message}$"):
        hardware_op("RPReLU", channels=2, bits=9).evaluate(np.zeros((1, 1, 1, 2), int), *tables)


def test_hls_takes_16_bits():
    message = "before -65536..-65536 do not fit int16_t: the HLS headers take no more bits"
    assert_refused(call_of, message, "RPReLU", [-65536], [0], [0], bits=17)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"Channels": 6}, "P = 4 does not divide 6"), ({"Bits": 1}, "1 bits, must have at least 2")],
    ids=["P", "Bits"],
)
def test_the_module_refuses(tmp_path, wrong, message):
    parameters = {"Channels": 8, "P": 4, "Bits": 8, "SlopeBits": 3, "TableFile": "table.hex", **wrong}
    if "Bits" in wrong:
        parameters["SlopeBits"] = 1
    bits = 4 * parameters["Bits"]
    assert_module_refuses(message, "rprelu", parameters, {"in": bits}, {"out": bits}, tmp_path)


def test_the_header_refuses_more_than_16_bits(tmp_path):
    tables = {"before": ("int16_t", (17,)), "slope": ("uint8_t", (17,)), "after": ("int16_t", (17,))}
    message = "rprelu: 2 to 16 bits an element"
    assert_header_refuses(message, "rprelu", (17, 1, 17, 2), tmp_path, {"in": 17}, {"out": 17}, **tables)
