"""hls/add_streams.hpp against numpy."""

from collections import namedtuple

import numpy as np
import pytest

from .harness import Case, instance, label, run_cases

Shape = namedtuple("Shape", "p bits beats")
SHAPES = [Shape(1, 2, 20), Shape(8, 8, 32), Shape(8, 10, 512), Shape(2, 31, 16)]


def data(shape):
    largest = (1 << shape.bits - 1) - 1
    a, b = np.random.default_rng(shape.p).integers(-largest - 1, largest + 1, (2, 2 * shape.beats, shape.p))
    a[:4, 0], b[:4, 0] = largest, [largest, 1, -largest - 1, 0]
    a[4:6, 0], b[4:6, 0] = -largest - 1, [-largest - 1, -1]
    return a, b, np.clip(a + b, -largest - 1, largest)


def case(shape):
    a, b, _ = data(shape)
    return Case(
        label(shape),
        instance("add_streams", *shape),
        inputs={"a": (a, shape.bits), "b": (b, shape.bits)},
        outputs={"out": (shape.p, shape.bits)},
        arguments=("a", "b", "out"),
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_cases("add_streams", [case(s) for s in SHAPES], tmp_path_factory.mktemp("add_streams"))


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_equals_numpy(results, shape):
    assert np.array_equal(results[label(shape)].outputs["out"], data(shape)[2])
