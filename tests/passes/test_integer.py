"""Integer forms of real scales, against brute force and against the graph itself."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from onnx import helper

from flow.execute import Execution
from flow.passes import PassError
from flow.passes.integer import affine_constants, fit_multiply_shift

from .graphs import QonnxGraph

NODE = helper.make_node("Quant", ["x"], ["y"], name="act")


def multiply_shift(sums, multiplier, offset, shift, bits):
    return np.clip((sums[:, None] * multiplier + offset) >> shift, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def brute_force(sums, targets, bits, shift, slope) -> bool:
    """Is there a multiplier of at most ``slope`` units a sum, and any offset, that gives the targets [K]?

    For each multiplier, every target leaves an interval of offsets.
    """
    lowest, highest = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    multipliers = np.arange(-slope << shift, (slope << shift) + 1)[:, None]
    least = np.where(targets == lowest, -(1 << 60), (targets << shift) - multipliers * sums)
    most = np.where(targets == highest, 1 << 60, ((targets + 1) << shift) - 1 - multipliers * sums)
    return bool((least.max(axis=1) <= most.min(axis=1)).any())


@settings(max_examples=80, deadline=None)
@given(st.integers(2, 8), st.integers(2, 40), st.integers(1, 3), st.data())
def test_what_a_multiplier_gives_is_found(bits, count, step, data):
    """Any multiplier, offset and shift of each channel; the fit has one shift for all of them."""
    sums = np.arange(-count, count + 1, step)
    numbers = st.lists(st.tuples(st.integers(-500, 500), st.integers(-5000, 5000)), min_size=1, max_size=4)
    multiplier, offset = np.array(data.draw(numbers)).T
    targets = multiply_shift(sums, multiplier, offset, data.draw(st.integers(0, 9)), bits)
    found, offsets, shift = fit_multiply_shift(sums, targets, bits, NODE)
    np.testing.assert_array_equal(multiply_shift(sums, found, offsets, shift, bits), targets)
    assert shift >= 4 and np.abs(found).max() < 1 << 31


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(-4, 3), min_size=2, max_size=6), st.integers(1, 2))
@example([-4, -1, 3], 1)
@example([0, 0, 1, 1, 0], 1)
def test_it_refuses_only_what_brute_force_does_not_find_either(values, step):
    """Tables of 3 bits on few sums, against every multiplier of up to 8 a sum, every offset and shifts up to 8."""
    sums, targets = np.arange(len(values)) * step - len(values) // 2, np.array(values)
    try:
        multiplier, offset, shift = fit_multiply_shift(sums, targets[:, None], 3, NODE)
    except PassError:
        assert not any(brute_force(sums, targets, 3, shift, 8) for shift in range(9))
    else:
        np.testing.assert_array_equal(multiply_shift(sums, multiplier, offset, shift, 3)[:, 0], targets)
        if np.abs(multiplier[0]) <= 8 << shift and shift <= 8:
            assert brute_force(sums, targets, 3, shift, 8)


def test_a_curve_is_refused():
    sums = np.arange(-6, 7)
    with pytest.raises(
        PassError, match=r"act \(Quant\): no 32-bit multiplier and shift give its result on every popcount"
    ):
        fit_multiply_shift(sums, (sums[:, None] ** 2) // 4, 6, NODE)


def test_a_slope_of_more_than_32_bits_is_refused():
    """From the least to the largest result in one step, with one target between them: exact, but out of reach."""
    sums = np.array([0, 1])
    targets = np.array([[0], [1 << 29]])
    with pytest.raises(PassError, match="no 32-bit multiplier"):
        fit_multiply_shift(sums, targets, 40, NODE)


def test_saturated_targets_bind_one_side_only():
    sums = np.arange(-10, 11)
    targets = np.clip(3 * sums, -8, 7)[:, None]
    multiplier, offset, shift = fit_multiply_shift(sums, targets, 4, NODE)
    np.testing.assert_array_equal(multiply_shift(sums, multiplier, offset, shift, 4), targets)


def test_a_constant_channel_has_no_slope():
    sums = np.arange(-10, 11, 2)
    targets = np.stack([np.full(11, 3), np.full(11, 7), np.full(11, -8)], axis=1)
    multiplier, offset, shift = fit_multiply_shift(sums, targets, 4, NODE)
    assert not multiplier.any()
    np.testing.assert_array_equal(multiply_shift(sums, multiplier, offset, shift, 4), targets)


@pytest.mark.parametrize("least", [4, 9])
def test_the_least_shift(least):
    sums = np.arange(-10, 11)
    assert fit_multiply_shift(sums, sums[:, None], 6, NODE, least_shift=least)[2] == least


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_targets_that_do_not_bind_may_be_anything(seed):
    rng = np.random.default_rng(seed)
    sums, binding = np.arange(-12, 13), rng.random((25, 3)) < 0.5
    exact = multiply_shift(sums, rng.integers(-60, 60, 3), rng.integers(-500, 500, 3), 4, 6)
    targets = np.where(binding, exact, rng.integers(-32, 32, exact.shape))
    found = fit_multiply_shift(sums, targets, 6, NODE, binding)
    np.testing.assert_array_equal(multiply_shift(sums, *found, 6)[binding], targets[binding])
    nothing = fit_multiply_shift(sums, targets, 6, NODE, np.zeros_like(binding))
    assert nothing[2] == 4


# affine_constants

CHANNELS = np.float32([1.5, -2.0, 0.25, 3.0]).reshape(1, 4, 1, 1)
AFFINE = {
    "Add": lambda graph, x: graph.node("Add", x, CHANNELS),
    "Sub": lambda graph, x: graph.node("Sub", x, CHANNELS),
    "Sub, constant first": lambda graph, x: graph.node("Sub", CHANNELS, x),
    "Mul": lambda graph, x: graph.node("Mul", CHANNELS, x),
    "Mul, scalar": lambda graph, x: graph.node("Mul", x, 0.75),
    "Div": lambda graph, x: graph.node("Div", x, CHANNELS),
    "Neg": lambda graph, x: graph.node("Neg", x),
    "Identity": lambda graph, x: graph.node("Identity", x),
    "BatchNormalization": lambda graph, x: graph.batch_norm(x, [1, -2, 0.5, 0], [1, 2, 3, 4], [4, 3, 2, 1], 0.6, 1e-3),
}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(sorted(AFFINE)), max_size=4))
def test_gain_and_offset_of_a_chain(names):
    graph, x = QonnxGraph(height=1, width=8), "image"
    for name in names:
        x = AFFINE[name](graph, x)
    assume(names)
    model = graph.model(x)
    gain, offset = affine_constants(model, list(model.graph.node), 4)
    values = np.linspace(-4, 4, 8, dtype=np.float32)
    result = Execution(model).run({"image": np.broadcast_to(values, (1, 4, 1, 8)).copy()})[x][0, :, 0]
    np.testing.assert_allclose(gain[:, None] * values + offset[:, None], result, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["Relu", "Clip", "PRelu", "Div, constant first"])
def test_other_nodes_are_refused(kind):
    graph = QonnxGraph()
    if kind.startswith("Div"):
        x = graph.node("Div", 1.0, "image")
    else:
        x = graph.node(kind, "image", *{"Clip": [0.0, 1.0], "PRelu": [np.ones((4, 1, 1))]}.get(kind, []))
    model = graph.model(x)
    match = rf"{kind.split(',')[0]}_0 \(\w+\): is no multiplication or addition of constants"
    with pytest.raises(PassError, match=match):
        affine_constants(model, list(model.graph.node), 4)
