"""Activations found again from what they do to every value: RPReLU's shifts and slope."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from flow.passes import PassError
from flow.passes.infer_rprelu import fit_rprelu

NODE = helper.make_node("Quant", ["x"], ["y"], name="quant")


def rprelu(bits, before, slope, after):
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    u = np.arange(low, high + 1)[:, None] + before
    return np.clip(np.where(u >= 0, u, u >> slope) + after, low, high)


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 8), st.integers(0, 10**6))
def test_rprelu_is_found_again(bits, seed):
    rng, half = np.random.default_rng(seed), 1 << (bits - 1)
    before, after = rng.integers(-half, half, (2, 5))
    slope = rng.integers(0, bits, 5)
    table = rprelu(bits, before, slope, after)
    found = fit_rprelu(table, bits, NODE)
    np.testing.assert_array_equal(rprelu(bits, *found), table)


def test_another_function_is_refused():
    table = rprelu(6, np.array([3, 0]), np.array([1, 2]), np.array([0, -4]))
    table[5, 1] += 3
    with pytest.raises(PassError, match="channel 1"):
        fit_rprelu(table, 6, NODE)
