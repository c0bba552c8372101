"""hls/rprelu.hpp against its node."""

from collections import namedtuple

import numpy as np
import pytest

from flow.sim.cpp import CompileError
from tests.ops.nodes import hardware_op

from .harness import Case, instance, label, run_cases

Shape = namedtuple("Shape", "channels p bits pixels")
SHAPES = [Shape(6, 1, 2, 10), Shape(64, 8, 10, 256), Shape(128, 128, 8, 5), Shape(16, 4, 16, 7)]


def data(shape):
    """Elements on both sides of -before, at the ends and anywhere; every slope occurs."""
    low, high = -(1 << shape.bits - 1), (1 << shape.bits - 1) - 1
    rng = np.random.default_rng(shape.channels)
    before, after = rng.integers(low, high + 1, (2, shape.channels))
    before[:3], after[:3] = (low, 0, high), (low, 0, high)
    slope = np.arange(shape.channels) % shape.bits
    near = (-before + rng.integers(-1, 2, (shape.pixels, shape.channels))).clip(low, high)
    anywhere = rng.integers(low, high + 1, (shape.pixels, shape.channels))
    anywhere[0], anywhere[1] = low, high
    return np.vstack([near, anywhere]), before, slope, after


def case(shape):
    x, before, slope, after = data(shape)
    tables = {
        "before": ("int16_t", before.astype(np.int16)),
        "slope": ("uint8_t", slope.astype(np.uint8)),
        "after": ("int16_t", after.astype(np.int16)),
    }
    return Case(
        label(shape),
        instance("rprelu", *shape),
        inputs={"in": (x.reshape(-1, shape.p), shape.bits)},
        outputs={"out": (shape.p, shape.bits)},
        tables=tables,
        arguments=("in", "out", "before", "slope", "after"),
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_cases("rprelu", [case(s) for s in SHAPES], tmp_path_factory.mktemp("rprelu"))


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_equals_its_node(results, shape):
    expected = hardware_op("RPReLU", bits=shape.bits).evaluate(*data(shape))
    assert np.array_equal(results[label(shape)].outputs["out"], expected.reshape(-1, shape.p))


def test_refuses_more_than_16_bits(tmp_path):
    with pytest.raises(CompileError, match="rprelu: 2 to 16 bits an element"):
        run_cases("rprelu", [case(Shape(17, 1, 17, 2))], tmp_path)
