"""hls/global_pool.hpp against numpy."""

from collections import namedtuple

import numpy as np
import pytest

from .harness import Case, instance, label, run_cases

Shape = namedtuple("Shape", "pixels channels p bits")
SHAPES = [Shape(1, 2, 1, 8), Shape(2, 6, 3, 4), Shape(64, 8, 8, 31), Shape(16, 512, 8, 10)]


def maps(shape):
    high = 1 << shape.bits - 1
    x = np.random.default_rng(shape.pixels).integers(-high, high, (2, shape.pixels, shape.channels))
    x[0, :, 0], x[1, :, 0] = -high, high - 1
    return x


def case(shape):
    return Case(
        label(shape),
        instance("global_pool", *shape),
        inputs={"in": (maps(shape).reshape(-1, shape.p), shape.bits)},
        outputs={"out": (shape.p, shape.bits)},
        arguments=("in", "out"),
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_cases("global_pool", [case(s) for s in SHAPES], tmp_path_factory.mktemp("global_pool"))


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_equals_numpy(results, shape):
    expected = maps(shape).sum(axis=1) >> (shape.pixels.bit_length() - 1)
    assert np.array_equal(results[label(shape)].outputs["out"], expected.reshape(-1, shape.p))
