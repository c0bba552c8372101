"""hls/width_converter.hpp: the elements stay in order."""

from collections import namedtuple

import numpy as np
import pytest

from .harness import Case, instance, label, run_cases

Shape = namedtuple("Shape", "in_elements out_elements bits elements")
SHAPES = [
    Shape(1, 8, 1, 64),
    Shape(8, 1, 1, 64),
    Shape(64, 64, 1, 128),
    Shape(64, 512, 1, 4096),
    Shape(512, 64, 1, 4096),
    Shape(3, 12, 10, 144),
    Shape(12, 3, 10, 144),
    Shape(8, 1, 8, 3072),
]


def elements(shape):
    low = -(1 << shape.bits - 1) if shape.bits > 1 else 0
    return np.random.default_rng(shape.bits).integers(low, low + (1 << shape.bits), 2 * shape.elements)


def case(shape):
    return Case(
        label(shape),
        instance("width_converter", *shape),
        inputs={"in": (elements(shape).reshape(-1, shape.in_elements), shape.bits)},
        outputs={"out": (shape.out_elements, shape.bits)},
        arguments=("in", "out"),
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_cases("width_converter", [case(s) for s in SHAPES], tmp_path_factory.mktemp("width_converter"))


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_keeps_the_elements_in_order(results, shape):
    out = results[label(shape)].outputs["out"]
    assert np.array_equal(out, elements(shape).reshape(-1, shape.out_elements))
