"""hls/sliding_window.hpp against numpy's im2col."""

from collections import namedtuple

import numpy as np
import pytest

from .harness import Case, im2col, instance, label, run_cases

Shape = namedtuple("Shape", "height width channels kernel stride padding p bits pad_value")
SHAPES = [
    Shape(1, 1, 1, 1, 1, 0, 1, 1, 0),
    Shape(1, 1, 2, 3, 1, 1, 1, 1, 1),       # padding all around one pixel
    Shape(5, 7, 4, 3, 1, 1, 2, 8, 255),     # odd sides, a pad value of -1
    Shape(5, 7, 4, 3, 1, 0, 4, 1, 0),
    Shape(6, 4, 2, 2, 3, 0, 2, 1, 0),       # Stride over Kernel: pixels between the windows and a row after them
    Shape(7, 8, 2, 5, 2, 2, 2, 1, 0),
    Shape(2, 3, 2, 5, 1, 3, 1, 1, 0),       # Kernel over the map
    Shape(8, 8, 8, 1, 2, 0, 2, 8, 0),       # more reads than writes, the last row unused
    Shape(8, 8, 256, 3, 2, 1, 32, 1, 0),
    Shape(32, 32, 64, 3, 1, 1, 32, 1, 0),
    Shape(32, 32, 3, 3, 1, 1, 3, 8, 0),
]


def maps(shape):
    low = -(1 << shape.bits - 1) if shape.bits > 1 else 0
    size = (2, shape.height, shape.width, shape.channels)
    return np.random.default_rng(shape.height).integers(low, low + (1 << shape.bits), size)


def reference(shape):
    pad = shape.pad_value - (1 << shape.bits if shape.bits > 1 and shape.pad_value >> shape.bits - 1 else 0)
    return im2col(maps(shape), shape.kernel, shape.stride, shape.padding, pad).reshape(-1, shape.p)


def case(shape):
    return Case(label(shape), instance("sliding_window", *shape),
                inputs={"in": (maps(shape).reshape(-1, shape.p), shape.bits)},
                outputs={"out": (shape.p, shape.bits)}, arguments=("in", "out"))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_cases("sliding_window", [case(s) for s in SHAPES], tmp_path_factory.mktemp("sliding_window"))


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_equals_im2col(results, shape):
    assert np.array_equal(results[label(shape)].outputs["out"], reference(shape))
