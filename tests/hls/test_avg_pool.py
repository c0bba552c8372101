"""hls/avg_pool.hpp against numpy."""

from collections import namedtuple

import numpy as np
import pytest

from .harness import Case, instance, label, run_cases

Shape = namedtuple("Shape", "height width channels p bits")
SHAPES = [Shape(2, 2, 1, 1, 8), Shape(4, 6, 3, 3, 4), Shape(6, 4, 8, 2, 16), Shape(32, 32, 64, 8, 10)]


def maps(shape):
    high = 1 << shape.bits - 1
    x = np.random.default_rng(shape.height).integers(-high, high, (2, *shape[:3]))
    x[0, :2, :2] = -high
    x[1, :2, :2] = high - 1
    return x


def reference(shape):
    height, width, channels = shape[:3]
    quads = maps(shape).reshape(2, height // 2, 2, width // 2, 2, channels)
    return (quads.sum(axis=(2, 4)) >> 2).reshape(-1, shape.p)


def case(shape):
    return Case(
        label(shape),
        instance("avg_pool", *shape),
        inputs={"in": (maps(shape).reshape(-1, shape.p), shape.bits)},
        outputs={"out": (shape.p, shape.bits)},
        arguments=("in", "out"),
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_cases("avg_pool", [case(s) for s in SHAPES], tmp_path_factory.mktemp("avg_pool"))


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_equals_numpy(results, shape):
    assert np.array_equal(results[label(shape)].outputs["out"], reference(shape))
