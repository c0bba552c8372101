"""hls/sign_threshold.hpp against numpy."""

from collections import namedtuple

import numpy as np
import pytest

from .harness import Case, instance, label, run_cases

Shape = namedtuple("Shape", "channels p bits pixels")
SHAPES = [Shape(3, 1, 4, 10), Shape(64, 8, 10, 1024), Shape(128, 128, 8, 5), Shape(8, 4, 16, 7)]


def data(shape):
    """Elements on, just below and far from the thresholds, some of which are the lowest and the highest value."""
    low, high = -(1 << shape.bits - 1), (1 << shape.bits - 1) - 1
    rng = np.random.default_rng(shape.channels)
    thresholds = rng.integers(low, high + 1, shape.channels).astype(np.int16)
    thresholds[:2] = low, high
    near = (thresholds + rng.integers(-1, 2, (shape.pixels, shape.channels))).clip(low, high)
    return np.vstack([near, rng.integers(low, high + 1, (shape.pixels, shape.channels))]), thresholds


def case(shape):
    x, thresholds = data(shape)
    return Case(
        label(shape),
        instance("sign_threshold", *shape),
        inputs={"in": (x.reshape(-1, shape.p), shape.bits)},
        outputs={"out": (shape.p, 1)},
        tables={"thresholds": ("int16_t", thresholds)},
        arguments=("in", "out", "thresholds"),
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_cases("sign_threshold", [case(s) for s in SHAPES], tmp_path_factory.mktemp("sign_threshold"))


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_equals_numpy(results, shape):
    x, thresholds = data(shape)
    assert np.array_equal(results[label(shape)].outputs["out"], (x >= thresholds).reshape(-1, shape.p))
