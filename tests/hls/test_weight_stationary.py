"""hls/weight_stationary.hpp against numpy's im2col and matrix product."""

from collections import namedtuple

import numpy as np
import pytest

from .harness import Case, fold, im2col, instance, label, run_cases

Shape = namedtuple("Shape", "height width channels outputs kernel stride padding pe simd threshold")
SHAPES = [
    Shape(1, 1, 8, 8, 1, 1, 0, 2, 4, 4),            # 8-bit weight words out of 64-bit DDR words
    Shape(5, 3, 8, 16, 3, 1, 1, 2, 8, 36),
    Shape(5, 6, 4, 16, 2, 2, 0, 16, 4, 9),
    Shape(8, 8, 64, 4, 3, 2, 1, 2, 64, 289),        # 128-bit weight words
    Shape(4, 4, 512, 64, 3, 1, 1, 1, 64, 2304),
    Shape(4, 4, 512, 64, 3, 1, 1, 8, 32, 2304),
]


def data(shape):
    rng = np.random.default_rng(shape.channels + shape.outputs)
    maps = rng.integers(0, 2, (2, shape.height, shape.width, shape.channels))
    return maps, rng.integers(0, 2, (shape.outputs, shape.kernel**2 * shape.channels))


def reference(shape):
    maps, weights = data(shape)
    windows = im2col(maps, shape.kernel, shape.stride, shape.padding, 0)
    agreements = ((2 * windows - 1) @ (2 * weights - 1).T + windows.shape[-1]) // 2
    return (agreements >= shape.threshold).astype(int).reshape(-1, shape.pe)


def ddr_words(shape):
    """The weights as they lie in memory: PE 0 lowest in each word, words one after the other."""
    bits = fold(data(shape)[1], shape.pe, shape.simd).transpose(1, 0, 2)
    return np.packbits(bits.astype(np.uint8).reshape(-1), bitorder="little").view(np.uint64)


def case(shape):
    return Case(label(shape), instance("weight_stationary", *shape),
                inputs={"in": (data(shape)[0].reshape(-1, shape.simd), 1)}, outputs={"out": (shape.pe, 1)},
                tables={"ddr": ("ap_uint<64>", ddr_words(shape))}, arguments=("in", "ddr", "out"))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_cases("weight_stationary", [case(s) for s in SHAPES], tmp_path_factory.mktemp("weight_stationary"))


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_equals_numpy(results, shape):
    assert np.array_equal(results[label(shape)].outputs["out"], reference(shape))
