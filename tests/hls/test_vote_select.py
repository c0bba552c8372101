"""hls/vote_select.hpp against numpy."""

from collections import namedtuple

import numpy as np
import pytest

from .harness import Case, instance, label, run_cases

Shape = namedtuple("Shape", "channels p bits pixels")
SHAPES = [Shape(3, 1, 4, 10), Shape(64, 8, 10, 1024), Shape(128, 128, 8, 5), Shape(8, 4, 16, 7)]


def data(shape):
    highest = (1 << shape.bits - 1) - 1
    rng = np.random.default_rng(shape.channels)
    low, high = rng.integers(-highest - 1, highest + 1, (2, shape.channels)).astype(np.int16)
    low[0], high[0] = -highest - 1, highest
    return rng.integers(0, 2, (2 * shape.pixels, shape.channels)), low, high


def case(shape):
    votes, low, high = data(shape)
    return Case(
        label(shape),
        instance("vote_select", *shape),
        inputs={"in": (votes.reshape(-1, shape.p), 1)},
        outputs={"out": (shape.p, shape.bits)},
        tables={"low": ("int16_t", low), "high": ("int16_t", high)},
        arguments=("in", "out", "low", "high"),
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_cases("vote_select", [case(s) for s in SHAPES], tmp_path_factory.mktemp("vote_select"))


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_equals_numpy(results, shape):
    votes, low, high = data(shape)
    expected = np.where(votes == 1, high, low).reshape(-1, shape.p)
    assert np.array_equal(results[label(shape)].outputs["out"], expected)
