"""hls/int_conv.hpp against numpy."""

from collections import namedtuple

import numpy as np
import pytest

from .harness import Case, fold, instance, label, run_cases

Shape = namedtuple("Shape", "inputs outputs pixels pe simd in_bits weight_bits out_bits acc_bits shift")
STEM = Shape(27, 16, 1024, 4, 3, 8, 8, 10, 21, 7)
CLASSIFIER = Shape(512, 10, 1, 1, 8, 10, 8, 32, 28, 0)
SHAPES = [
    Shape(1, 1, 3, 1, 1, 8, 8, 8, 17, 0),         # saturates nearly always
    Shape(6, 4, 5, 2, 6, 4, 3, 9, 10, 1),
    Shape(12, 6, 4, 6, 4, 8, 8, 16, 40, 5),       # a 64-bit accumulator
    Shape(27, 64, 64, 8, 27, 8, 8, 10, 21, 7),
    STEM,
    CLASSIFIER,
]


def signed(rng, bits, size):
    return rng.integers(-(1 << bits - 1), 1 << bits - 1, size)


def data(shape):
    rng = np.random.default_rng(shape.inputs)
    windows = signed(rng, shape.in_bits, (2 * shape.pixels, shape.inputs))
    weights = signed(rng, shape.weight_bits, (shape.outputs, shape.inputs))
    bias = signed(rng, min(shape.acc_bits, 32) - 2, shape.outputs)
    windows[0], weights[0] = -(1 << shape.in_bits - 1), -(1 << shape.weight_bits - 1)       # the largest sum
    return windows, weights, bias


def reference(shape):
    windows, weights, bias = data(shape)
    sums = windows @ weights.T + bias
    assert np.abs(sums).max() < 1 << shape.acc_bits - 1
    highest = (1 << shape.out_bits - 1) - 1
    return (sums >> shape.shift).clip(-highest - 1, highest).reshape(-1, shape.pe)


def case(shape):
    windows, weights, bias = data(shape)
    tables = {"weights": ("int8_t", fold(weights, shape.pe, shape.simd).astype(np.int8)),
              "bias": ("int32_t", bias.astype(np.int32))}
    return Case(label(shape), instance("int_conv", *shape),
                inputs={"in": (windows.reshape(-1, shape.simd), shape.in_bits)},
                outputs={"out": (shape.pe, shape.out_bits)}, tables=tables, arguments=("in", "out", "weights", "bias"))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_cases("int_conv", [case(s) for s in SHAPES], tmp_path_factory.mktemp("int_conv"))


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_equals_numpy(results, shape):
    assert np.array_equal(results[label(shape)].outputs["out"], reference(shape))
