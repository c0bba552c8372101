"""hls/repeat_channels.hpp against its node."""

from collections import namedtuple

import numpy as np
import pytest

from flow.emit.hls_nodes import call_of
from flow.graph import Node
from flow.sim.cpp import CompileError
from tests.ops.nodes import hardware_op

from .harness import Case, instance, label, run_cases

Shape = namedtuple("Shape", "channels p bits times pixels")
SHAPES = [
    Shape(1, 1, 1, 2, 9),
    Shape(64, 8, 10, 2, 50),
    Shape(6, 6, 4, 3, 11),
    Shape(12, 4, 32, 5, 7),
    Shape(96, 96, 1, 2, 3),
    Shape(8, 2, 8, 1, 6),
]


def node(shape):
    return hardware_op(
        "RepeatChannels",
        height=1,
        width=shape.pixels,
        channels=shape.channels,
        p=shape.p,
        bits=shape.bits,
        times=shape.times,
    )


def pixels(shape):
    low, high = (0, 2) if shape.bits == 1 else (-(1 << shape.bits - 1), 1 << shape.bits - 1)
    return np.random.default_rng(shape.channels).integers(low, high, (2 * shape.pixels, shape.channels))


def case(shape):
    call = call_of(Node(node(shape), ("in",), ("out",), ()))
    return Case(
        label(shape),
        instance(call.function, *call.parameters.values()),
        inputs={"in": (pixels(shape).reshape(-1, shape.p), shape.bits)},
        outputs={"out": (shape.p, shape.bits)},
        arguments=("in", "out"),
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_cases("repeat_channels", [case(s) for s in SHAPES], tmp_path_factory.mktemp("repeat_channels"))


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_equals_its_node(results, shape):
    expected = node(shape).evaluate(pixels(shape))
    assert np.array_equal(results[label(shape)].outputs["out"], expected.reshape(-1, shape.p))


def test_refuses_beats_that_do_not_divide(tmp_path):
    """8 channels are no whole number of beats of 3, whatever the input."""
    wrong = Case(
        "wrong",
        instance("repeat_channels", 8, 3, 4, 2, 1),
        inputs={"in": (np.zeros((2, 3), int), 4)},
        outputs={"out": (3, 4)},
        arguments=("in", "out"),
    )
    with pytest.raises(CompileError, match="repeat_channels: P must divide Channels"):
        run_cases("repeat_channels", [wrong], tmp_path)
