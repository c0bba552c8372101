"""hls/duplicate.hpp: both outputs equal the input."""

from collections import namedtuple

import numpy as np
import pytest

from .harness import Case, instance, label, run_cases

Shape = namedtuple("Shape", "width beats")
SHAPES = [Shape(1, 1), Shape(80, 256), Shape(64, 100)]


def bits(shape):
    return np.random.default_rng(shape.width).integers(0, 2, (2 * shape.beats, shape.width))


def case(shape):
    return Case(
        label(shape),
        instance("duplicate", *shape),
        inputs={"in": (bits(shape), 1)},
        outputs={"out0": (shape.width, 1), "out1": (shape.width, 1)},
        arguments=("in", "out0", "out1"),
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_cases("duplicate", [case(s) for s in SHAPES], tmp_path_factory.mktemp("duplicate"))


@pytest.mark.parametrize("shape", SHAPES, ids=label)
@pytest.mark.parametrize("output", ["out0", "out1"])
def test_equals_the_input(results, shape, output):
    assert np.array_equal(results[label(shape)].outputs[output], bits(shape))
