"""flow/ops/prelu.py against Python's integers, and the data on which its RTL and HLS are compared with it."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.ops import HardwareOp
from flow.ops.base import Stream
from tests.ops.nodes import hardware_op


class Shape(NamedTuple):
    channels: int
    p: int
    bits: int
    out_bits: int
    multiplier_bits: int
    offset_bits: int
    shift: int

    def __str__(self):
        return "C{}-P{}-B{}-out{}-m{}-o{}-shift{}".format(*self)


SHAPES = [
    Shape(18, 3, 4, 4, 6, 9, 5),  # every step
    Shape(8, 8, 10, 9, 18, 27, 18),
    Shape(6, 2, 16, 12, 32, 48, 35),  # the widest constants
    Shape(5, 1, 3, 20, 4, 5, 0),  # nothing to saturate
    Shape(4, 4, 8, 4, 8, 16, 60),  # only the sign is left
]


def prelu(shape: Shape) -> HardwareOp:
    """On maps of 6 x 10 pixels."""
    return hardware_op(
        "PReLU",
        height=6,
        width=10,
        channels=shape.channels,
        p=shape.p,
        bits=shape.bits,
        shift=shape.shift,
        out_bits=shape.out_bits,
    )


def constants(shape: Shape) -> tuple[np.ndarray, ...]:
    """Step, down, down_offset, up, up_offset. The first channel never reaches its step, the last is never below it; the ends of
    the multipliers and of the offsets occur."""
    rng, half = np.random.default_rng(shape), 1 << shape.bits - 1
    lines = []
    for _ in range(2):
        for bits in (shape.multiplier_bits, shape.offset_bits):
            lines.append(rng.integers(-(1 << bits - 1), 1 << bits - 1, shape.channels))
            lines[-1][1:3] = -(1 << bits - 1), (1 << bits - 1) - 1
    step = np.linspace(half, -half, shape.channels).round().astype(np.int64)
    return step, *lines


def elements(shape: Shape) -> np.ndarray:
    """Two frames: at both ends, on both sides of the steps, and anywhere."""
    rng, half = np.random.default_rng(shape), 1 << shape.bits - 1
    x = rng.integers(-half, half, (2, 6, 10, shape.channels))
    step = constants(shape)[0]
    x[0, 0, 0], x[0, 0, 1] = -half, half - 1
    x[0, 0, 2], x[0, 0, 3] = (step - 1).clip(-half), step.clip(max=half - 1)
    return x


def line(x, step, down, down_offset, up, up_offset, shift, bits):
    """PReLU of one element."""
    multiplier, offset = (up, up_offset) if x >= step else (down, down_offset)
    return min(max((multiplier * x + offset) // 2**shift, -(2 ** (bits - 1))), 2 ** (bits - 1) - 1)


def check(shape: Shape, x: np.ndarray, tables: tuple[np.ndarray, ...]) -> None:
    results = prelu(shape).evaluate(x, *tables)
    for (*pixel, c), element in np.ndenumerate(x):
        channel = (int(table[c]) for table in tables)
        assert results[(*pixel, c)] == line(int(element), *channel, shape.shift, shape.out_bits)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_integers(shape):
    check(shape, elements(shape), constants(shape))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(2, 16),
    st.integers(2, 20),
    st.integers(1, 32),
    st.integers(1, 48),
    st.integers(0, 40),
)
def test_equals_integers_on_any_widths(channels, bits, out_bits, multiplier_bits, offset_bits, shift):
    shape = Shape(max(3, channels), 1, bits, out_bits, multiplier_bits, offset_bits, shift)
    check(shape, elements(shape)[:1, :1], constants(shape))


@pytest.mark.parametrize("shape", SHAPES[:3], ids=str)
def test_the_data_reaches_both_ends_and_between(shape):
    """What RTL and HLS are compared on saturates here and there, and not everywhere."""
    results = prelu(shape).evaluate(elements(shape), *constants(shape))
    half = 1 << shape.out_bits - 1
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
    op = prelu(SHAPES[1])
    assert op.inputs() == [Stream(6, 10, 8, 8, 10)]
    assert op.outputs() == [Stream(6, 10, 8, 8, 9)]
