"""hls/pixel_offset.hpp against numpy, on all 256 values."""

from collections import namedtuple

import numpy as np
import pytest

from .harness import Case, instance, label, run_cases

Shape = namedtuple("Shape", "p beats")
SHAPES = [Shape(1, 256), Shape(3, 1024), Shape(16, 192)]


def pixels(shape):
    x = np.random.default_rng(shape.p).integers(0, 256, (2 * shape.beats, shape.p))
    x.reshape(-1)[:256] = np.arange(256)
    return x


def case(shape):
    return Case(
        label(shape),
        instance("pixel_offset", *shape),
        inputs={"in": (pixels(shape), 8)},
        outputs={"out": (shape.p, 8)},
        arguments=("in", "out"),
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_cases("pixel_offset", [case(s) for s in SHAPES], tmp_path_factory.mktemp("pixel_offset"))


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_subtracts_128(results, shape):
    assert np.array_equal(results[label(shape)].outputs["out"], pixels(shape) - 128)
