"""hls/xnor_popcount.hpp against numpy."""

from collections import namedtuple

import numpy as np
import pytest

from .harness import Case, fold, instance, label, pack_words, run_cases

Shape = namedtuple("Shape", "inputs outputs pixels pe simd threshold")
SHAPES = [
    Shape(9, 4, 5, 2, 1, 5),
    Shape(9, 3, 4, 3, 9, 4),
    Shape(9, 2, 4, 1, 1, 0),
    Shape(36, 6, 7, 6, 12, 18),
    Shape(64, 8, 5, 1, 64, 33),
    Shape(144, 16, 16, 4, 16, 72),
    Shape(576, 64, 1024, 2, 32, 288),
    Shape(576, 64, 1024, 4, 64, 288),
    Shape(576, 128, 8, 128, 64, 290),
]


def data(shape, frames=2):
    rng = np.random.default_rng(shape.inputs * shape.outputs)
    windows = rng.integers(0, 2, (frames * shape.pixels, shape.inputs))
    weights = rng.integers(0, 2, (shape.outputs, shape.inputs))
    windows[0], windows[1] = weights[0], 1 - weights[0]     # counts n and 0
    return windows, weights


def reference(shape):
    windows, weights = data(shape)
    agreements = ((2 * windows - 1) @ (2 * weights - 1).T + shape.inputs) // 2
    return (agreements >= shape.threshold).astype(int).reshape(-1, shape.pe)


def case(shape):
    windows, weights = data(shape)
    return Case(label(shape), instance("xnor_popcount", *shape),
                inputs={"in": (windows.reshape(-1, shape.simd), 1)}, outputs={"out": (shape.pe, 1)},
                tables={"weights": pack_words(fold(weights, shape.pe, shape.simd))}, arguments=("in", "out", "weights"))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_cases("xnor_popcount", [case(s) for s in SHAPES], tmp_path_factory.mktemp("xnor_popcount"))


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_equals_numpy(results, shape):
    assert np.array_equal(results[label(shape)].outputs["out"], reference(shape))


def test_simulates_fast(results):
    """64 -> 64 channels, 3x3 on 32x32: some 1,000 frames/s on a quiet core; the bound only catches a bit loop (12)."""
    assert results[label(SHAPES[7])].frames_per_second > 60
