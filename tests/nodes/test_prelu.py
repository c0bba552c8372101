"""flow/nodes/prelu.py, rtl/prelu.sv and hls/prelu.hpp."""

import numpy as np
import pytest
from hypothesis import strategies as st

from flow.emit.core import call_of, cell_of
from flow.nodes import Stream
from tests.nodes.harness import Case, NodeTests, any_shape, hardware_op
from tests.nodes.refusals import assert_header_refuses, assert_module_refuses, assert_refused


def case(channels, p, bits, out_bits, multiplier_bits, offset_bits, shift, size=(6, 10), frames=4):
    height, width = size

    def draw(op, rng):
        """Step, down, down_offset, up, up_offset. The first channel never reaches its step, the last is never below it;
        the ends of the multipliers and of the offsets occur."""
        half, lines = 1 << bits - 1, []
        for _ in range(2):
            for width in (multiplier_bits, offset_bits):
                lines.append(rng.integers(-(1 << width - 1), 1 << width - 1, channels))
                lines[-1][1:3] = -(1 << width - 1), (1 << width - 1) - 1
        return np.linspace(half, -half, channels).round().astype(np.int64), *lines

    attributes = {"height": height, "width": width, "channels": channels, "p": p, "bits": bits}
    attributes |= {"out_bits": out_bits, "shift": shift}
    label = f"C{channels}-P{p}-B{bits}-out{out_bits}-m{multiplier_bits}-o{offset_bits}-shift{shift}"
    return Case("PReLU", attributes, draw=draw, feed=near_the_steps, frames=frames, label=label)


def near_the_steps(op, rng, frames, constants):
    """At both ends, on both sides of the steps, and anywhere."""
    half, step = 1 << op.bits - 1, constants[0]
    x = rng.integers(-half, half, (frames, op.height, op.width, op.channels))
    pixels = x[0].reshape(-1, op.channels)
    pixels[:4] = np.stack([np.full_like(step, -half), np.full_like(step, half - 1), *sides(step, half)])[: len(pixels)]
    return (x,)


def sides(step, half):
    """The last element below a step and the first from it on."""
    return (step - 1).clip(-half, half - 1), step.clip(-half, half - 1)


def line(x, step, down, down_offset, up, up_offset, shift, bits):
    """PReLU of one element."""
    multiplier, offset = (up, up_offset) if x >= step else (down, down_offset)
    return min(max((multiplier * x + offset) // 2**shift, -(2 ** (bits - 1))), 2 ** (bits - 1) - 1)


def without_offsets(*sizes):
    """Lines through the origin, whose offsets take one bit."""
    made = case(*sizes)
    draw = made.draw
    made.draw = lambda op, rng: [values * (index not in (2, 4)) for index, values in enumerate(draw(op, rng))]
    made.label += "-no-offsets"
    return made


class TestPReLU(NodeTests):
    cases = [
        case(18, 3, 4, 4, 6, 9, 5),  # every step
        case(8, 8, 10, 9, 18, 27, 18),
        case(6, 2, 16, 12, 32, 48, 36),  # the widest constants
        case(5, 1, 3, 20, 4, 5, 0),  # nothing to saturate
        case(4, 4, 8, 4, 8, 16, 60),  # only the sign is left
        without_offsets(4, 2, 6, 5, 7, 4, 6),
    ]
    latency = 3
    resets = (0.001, 0.05, 0.5)

    @staticmethod
    def reference(op, streams, constants):
        """Python's integers."""
        results = np.zeros(streams[0].shape, object)
        for (*pixel, c), element in np.ndenumerate(streams[0]):
            channel = (int(constant[c]) for constant in constants)
            results[(*pixel, c)] = line(int(element), *channel, op.shift, op.out_bits)
        return results


test_any_shape = any_shape(
    TestPReLU,
    st.builds(
        case,
        st.integers(3, 4),
        st.just(1),
        st.integers(2, 16),
        st.integers(2, 20),
        st.integers(1, 32),
        st.integers(1, 48),
        st.integers(0, 40),
        st.tuples(st.integers(1, 2), st.integers(1, 5)),
        st.just(1),
    ),
)


@pytest.mark.parametrize("node", TestPReLU.cases[:3], ids=str)
def test_the_data_reaches_both_ends_and_between(node):
    """What RTL and HLS are compared on saturates here and there, and not everywhere."""
    (results,), half = node.outputs, 1 << node.op.out_bits - 1
    assert results.min() == -half and results.max() == half - 1
    assert ((results > -half) & (results < half - 1)).mean() > 0.2


@pytest.mark.parametrize(("x", "expected"), [(-3, 7), (2, -3), (3, 9), (4, 12)])
def test_the_step_belongs_to_the_upper_line(x, expected):
    """-2x + 1 below 3, 3x from there on."""
    tables = (np.array([value]) for value in (3, -2, 1, 3, 0))
    assert hardware_op("PReLU", bits=4, shift=0, out_bits=6).evaluate(np.array([[x]]), *tables) == expected


@pytest.mark.parametrize(("x", "expected"), [(-1, -1), (-4, -1), (-5, -2), (3, 0), (4, 1)])
def test_the_shift_rounds_down(x, expected):
    tables = (np.array([value]) for value in (0, 1, 0, 1, 0))
    assert hardware_op("PReLU", bits=4, shift=2, out_bits=4).evaluate(np.array([[x]]), *tables) == expected


def test_a_step_above_all_is_never_reached():
    x = np.arange(-8, 8)[:, None]
    tables = (np.array([value]) for value in (8, 1, 0, 0, 5))
    np.testing.assert_array_equal(hardware_op("PReLU", bits=4, shift=0, out_bits=4).evaluate(x, *tables), x)


def test_streams():
    op = hardware_op("PReLU", height=6, width=10, channels=8, p=8, bits=10, out_bits=9, shift=18)
    assert op.inputs() == [Stream(6, 10, 8, 8, 10)]
    assert op.outputs() == [Stream(6, 10, 8, 8, 9)]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ((129, 0, 0, 0, 0), "step 129..129 is not within -128..128"),
        ((-129, 0, 0, 0, 0), "step -129..-129 is not within -128..128"),
        (
            (0, 1 << 31, 0, 0, 0),
            "multipliers of 33 and offsets of 1 bits: RTL takes at most 32 and 48: lower the shift",
        ),
        (
            (0, 0, 0, 5, -(1 << 48)),
            "multipliers of 4 and offsets of 49 bits: RTL takes at most 32 and 48: lower the shift",
        ),
    ],
)
def test_rtl_refuses(tables, message):
    assert_refused(cell_of, message, "PReLU", *([value] for value in tables), shift=4, out_bits=8)


LARGEST = (2 << 7) + (1 << 63) - 1


@pytest.mark.parametrize(
    ("attributes", "tables", "message"),
    [
        (
            {"out_bits": 33},
            (0, 0, 0, 0, 0),
            "out_bits 33, shift 4: HLS takes at most 32 bits and shifts of 0..63",
        ),
        ({"shift": 64}, (0, 0, 0, 0, 0), "out_bits 8, shift 64: HLS takes at most 32 bits and shifts of 0..63"),
        (
            {},
            (0, 0, 0, 1 << 31, 0),
            "up 2147483648..2147483648 do not fit int32_t: the HLS headers take no more bits",
        ),
        (
            {},
            (0, -2, (1 << 63) - 1, 0, 0),
            f"multiplier * x + offset reaches {LARGEST}, beyond 64 bits: lower the shift",
        ),
    ],
    ids=["out_bits", "shift", "up", "down_offset"],
)
def test_hls_refuses(attributes, tables, message):
    attributes = {"bits": 8, "out_bits": 8, "shift": 4, "channels": 4, **attributes}
    assert_refused(call_of, message, "PReLU", *(np.full(4, value) for value in tables), **attributes)


def test_the_module_refuses_beats_that_do_not_divide(tmp_path):
    parameters = {"Channels": 6, "P": 4, "TableFile": "table.hex"}
    message = "prelu: P = 4 does not divide 6 channels"
    assert_module_refuses(message, "prelu", parameters, {"in": 32}, {"out": 32}, tmp_path)


def test_the_header_refuses_more_than_32_bits(tmp_path):
    int32, int64 = ("int32_t", (1, 4)), ("int64_t", (1, 4))
    tables = {"step": int32, "down": int32, "down_offset": int64, "up": int32, "up_offset": int64}
    message = "prelu: at most 32 bits an element"
    parameters = (4, 4, 33, 4, 60, 60)
    assert_header_refuses(message, "prelu", parameters, tmp_path, {"in": 4 * 33}, {"out": 16}, **tables)
