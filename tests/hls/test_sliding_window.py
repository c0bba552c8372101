"""hls/sliding_window.hpp against SlidingWindow.evaluate: im2col in every order, padded and masked."""

from collections import namedtuple

import numpy as np
import pytest
from onnx import helper
from qonnx.custom_op.registry import getCustomOp

from flow.emit.hls_nodes import call_of
from flow.graph import Node
from flow.ops import DOMAIN
from flow.sim.cpp import CompileError

from .binary import beats
from .harness import Case, instance, run_cases

Shape = namedtuple("Shape", "name height width channels kernel stride padding p bits pad_value order", defaults=["tap"])


def random_shape(seed):
    rng = np.random.default_rng(seed)
    kernel, stride, read, beats = (int(rng.integers(1, limit)) for limit in (6, 4, 9, 4))
    padding = int(rng.integers(0, kernel))
    height, width = (int(side) for side in rng.integers(max(1, kernel - 2 * padding), kernel + 6, 2))
    bits, order = (int(rng.choice([1, 1, 7])), ["tap", "row", "channel"][seed % 3])
    pad_value = int(rng.integers(-1, 2)) if order == "tap" or bits > 1 else int(rng.choice([-1, 1]))
    p = read * kernel ** ["tap", "row", "channel"].index(order)
    return Shape(f"random_{seed}", height, width, read * beats, kernel, stride, padding, p, bits, pad_value, order)


SHAPES = [
    Shape("one_pixel", 1, 1, 1, 1, 1, 0, 1, 1, 0),
    Shape("padding_all_around", 1, 1, 2, 3, 1, 1, 1, 1, 1),
    Shape("odd_sides", 5, 7, 4, 3, 1, 1, 2, 8, -1),
    Shape("no_padding", 5, 7, 4, 3, 1, 0, 4, 1, 0),
    Shape("pixels_between_windows", 6, 4, 2, 2, 3, 0, 2, 1, 0),  # and a row after them
    Shape("minus_one", 7, 8, 2, 5, 2, 2, 2, 1, -1),
    Shape("kernel_over_the_map", 2, 3, 2, 5, 1, 3, 1, 1, -1),
    Shape("more_reads_than_writes", 8, 8, 8, 1, 2, 0, 2, 8, 0),  # the last row unused
    Shape("stride_two", 8, 8, 256, 3, 2, 1, 32, 1, -1),
    Shape("wide", 32, 32, 64, 3, 1, 1, 32, 1, -1),
    Shape("image", 32, 32, 3, 3, 1, 1, 3, 8, 0),
    Shape("masked", 5, 7, 4, 3, 1, 1, 2, 1, 0),
    Shape("masked_bits", 3, 4, 2, 3, 2, 2, 1, 1, 0),
    Shape("masked_65_bits", 4, 4, 128, 3, 2, 1, 64, 1, 0),
    Shape("masked_all_around", 1, 1, 2, 5, 1, 2, 2, 1, 0),
    Shape("rows", 5, 7, 4, 3, 1, 1, 6, 1, -1, "row"),
    Shape("rows_one_channel", 5, 4, 3, 3, 2, 1, 3, 1, 1, "row"),
    Shape("rows_all_channels", 4, 4, 32, 3, 1, 1, 96, 1, 1, "row"),
    Shape("rows_of_integers", 5, 6, 4, 2, 2, 1, 4, 8, -128, "row"),
    Shape("rows_of_one_tap", 4, 4, 4, 1, 1, 0, 2, 1, 0, "row"),
    Shape("rows_more_reads", 8, 8, 6, 2, 5, 0, 4, 1, 0, "row"),
    Shape("channels", 5, 7, 4, 3, 1, 1, 18, 1, -1, "channel"),
    Shape("channels_one", 6, 5, 3, 3, 2, 1, 9, 1, 1, "channel"),
    Shape("channels_all", 4, 4, 8, 3, 1, 1, 72, 1, -1, "channel"),
    Shape("channels_of_integers", 4, 5, 2, 2, 1, 1, 4, 9, 255, "channel"),
    Shape("channels_kernel_over_the_map", 2, 2, 2, 5, 1, 3, 50, 1, -1, "channel"),
    *map(random_shape, range(15)),
]


def node(shape):
    proto = helper.make_node("SlidingWindow", ["in"], ["out"], domain=DOMAIN, **shape._asdict())
    return Node(getCustomOp(proto), ("in",), ("out",), ())


def maps(shape):
    size = (2, shape.height, shape.width, shape.channels)
    rng = np.random.default_rng(shape.height)
    return (
        rng.choice([-1, 1], size)
        if shape.bits == 1
        else rng.integers(-(1 << shape.bits - 1), 1 << shape.bits - 1, size)
    )


def elements(x, stream):
    return beats(x, stream) if stream.bits == 1 else x.reshape(-1, stream.parallel)


def case(shape):
    given, (taken,), (made,) = node(shape), node(shape).op.inputs(), node(shape).op.outputs()
    call = call_of(given)
    return Case(
        shape.name,
        instance(call.function, *call.parameters.values()),
        inputs={"in": (elements(maps(shape), taken), shape.bits)},
        outputs={"out": (made.parallel + made.masked, shape.bits)},
        arguments=("in", "out"),
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_cases("sliding_window", [case(s) for s in SHAPES], tmp_path_factory.mktemp("sliding_window"))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_equals_evaluate(results, shape):
    op = node(shape).op
    assert np.array_equal(results[shape.name].outputs["out"], elements(op.evaluate(maps(shape)), op.outputs()[0]))


@pytest.mark.parametrize(
    "shape, message",
    [
        (Shape("wide_beats", 4, 4, 4, 3, 1, 1, 8, 1, -1), "P / Taps must divide Channels"),
        (Shape("wide_padding", 4, 4, 4, 3, 1, 3, 4, 1, -1), "Padding must be smaller than Kernel"),
    ],
)
def test_refuses(shape, message, tmp_path):
    given = case(shape)
    given.inputs = {"in": (np.zeros((1, shape.p), int), shape.bits)}
    with pytest.raises(CompileError, match=message):
        run_cases("sliding_window", [given], tmp_path)
