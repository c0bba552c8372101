"""hls/max_pool.hpp against its node."""

from collections import namedtuple

import numpy as np
import pytest

from flow.sim.cpp import CompileError
from tests.ops.nodes import hardware_op

from .harness import Case, instance, label, run_cases

Shape = namedtuple("Shape", "height width channels p bits")
SHAPES = [
    Shape(2, 2, 1, 1, 8),
    Shape(4, 6, 3, 3, 4),
    Shape(6, 4, 8, 2, 16),
    Shape(16, 16, 64, 8, 10),
    Shape(6, 2, 5, 1, 1),
    Shape(8, 8, 128, 128, 1),
]


def maps(shape):
    """Frame 0 is random but for a window of lowest values, frame 1 but for one with a single highest; bipolar ones are bits."""
    low, high = (0, 1) if shape.bits == 1 else (-(1 << shape.bits - 1), (1 << shape.bits - 1) - 1)
    x = np.random.default_rng(shape.height).integers(low, high + 1, (2, *shape[:3]))
    x[:, :2, :2] = low
    x[1, 1, 0] = high
    return x


def case(shape):
    return Case(
        label(shape),
        instance("max_pool", *shape),
        inputs={"in": (maps(shape).reshape(-1, shape.p), shape.bits)},
        outputs={"out": (shape.p, shape.bits)},
        arguments=("in", "out"),
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_cases("max_pool", [case(s) for s in SHAPES], tmp_path_factory.mktemp("max_pool"))


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_equals_its_node(results, shape):
    x, node = maps(shape), hardware_op("MaxPool", bits=shape.bits)
    expected = node.evaluate(2 * x - 1) > 0 if shape.bits == 1 else node.evaluate(x)
    assert np.array_equal(results[label(shape)].outputs["out"], expected.reshape(-1, shape.p))


def test_refuses_odd_maps(tmp_path):
    narrow = Case(
        "odd",
        instance("max_pool", 4, 3, 2, 2, 8),
        inputs={"in": (np.zeros((12, 2), int), 8)},
        outputs={"out": (2, 8)},
        arguments=("in", "out"),
    )
    with pytest.raises(CompileError, match="max_pool: Height and Width must be even"):
        run_cases("max_pool", [narrow], tmp_path)
