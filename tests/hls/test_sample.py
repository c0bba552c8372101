"""hls/sample.hpp against its node."""

from collections import namedtuple

import numpy as np
import pytest

from flow.sim.cpp import CompileError
from tests.ops.nodes import hardware_op

from .harness import Case, instance, label, run_cases

Shape = namedtuple("Shape", "p bits ratio beats")
SHAPES = [Shape(8, 1, 2, 30), Shape(96, 1, 3, 7), Shape(6, 9, 6, 10), Shape(4, 32, 1, 5)]


def beats(shape):
    low, high = (0, 2) if shape.bits == 1 else (-(1 << shape.bits - 1), 1 << shape.bits - 1)
    return np.random.default_rng(shape.p).integers(low, high, (2 * shape.beats, shape.p))


def case(shape):
    return Case(
        label(shape),
        instance("sample", *shape),
        inputs={"in": (beats(shape), shape.bits)},
        outputs={"out": (shape.p // shape.ratio, shape.bits)},
        arguments=("in", "out"),
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_cases("sample", [case(s) for s in SHAPES], tmp_path_factory.mktemp("sample"))


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_equals_its_node(results, shape):
    expected = hardware_op("Sample", ratio=shape.ratio).evaluate(beats(shape))
    assert np.array_equal(results[label(shape)].outputs["out"], expected)


def test_refuses_a_ratio_that_does_not_divide(tmp_path):
    with pytest.raises(CompileError, match="sample: Ratio must divide P"):
        run_cases("sample", [case(Shape(8, 1, 3, 2))], tmp_path)
