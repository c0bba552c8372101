import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from flow.passes import InferRPReLU, PassError, to_integers
from flow.passes.infer_rprelu import fit_rprelu

from .graphs import QonnxGraph, applied, assert_refused, kinds, node_types, only

NODE = helper.make_node("Quant", ["x"], ["y"], name="act")


def per_channel(values):
    return np.asarray(values, np.float32).reshape(-1, 1, 1)


def rprelu(graph, x, before, slope, after, bits=5):
    """Shift, slope 2^-k that floors, shift on the grid of 0.25, as ReActNet's activation is exported."""
    x = graph.node("PRelu", graph.node("Add", x, per_channel(before) / 4), 2.0 ** -per_channel(slope))
    x = graph.quant(x, 0.25, bits + 1, rounding="FLOOR")
    return graph.quant(graph.node("Add", x, per_channel(after) / 4), 0.25, bits)


def test_shift_slope_shift_is_rprelu():
    graph = QonnxGraph(height=8)
    model = graph.model(rprelu(graph, graph.integers(), [0, 3, -5, 1], [1, 2, 0, 4], [0, -2, 4, 1]))
    model = applied(model, InferRPReLU)
    assert node_types(model) == ["Sub", "Mul", "Quant", "ToStream", "RPReLU", "FromStream"]
    node = only(model, "RPReLU")
    assert node.op.bits == 5
    before, slope, after = node.constants
    np.testing.assert_array_equal(slope, [1, 2, 0, 4])
    np.testing.assert_array_equal((before + after)[[0, 1, 2]], [0, 1, -1])
    np.testing.assert_array_equal(before[[0, 1]], [0, 3])


def test_a_slope_alone():
    graph = QonnxGraph()
    x = graph.quant(graph.node("PRelu", graph.integers(), per_channel([0.5, 0.25, 1.0, 0.125])), rounding="FLOOR")
    _, slope, _ = only(applied(graph.model(x), InferRPReLU), "RPReLU").constants
    np.testing.assert_array_equal(slope, [1, 2, 0, 3])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(4, 7))
def test_any_shifts_and_slopes(seed, bits):
    graph = QonnxGraph(channels=6, height=6, seed=seed)
    half = 1 << (bits - 1)
    before, after = graph.rng.integers(-half, half, (2, 6))
    x = rprelu(graph, graph.integers(bits=bits), before, graph.rng.integers(0, bits, 6), after, bits)
    assert kinds(applied(graph.model(x), InferRPReLU)) == ["RPReLU"]


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_every_function_of_few_bits_is_found(bits):
    half = 1 << (bits - 1)
    x = np.arange(-half, half)
    every = [(b, k, a) for b in range(-half, half) for k in range(bits) for a in range(-half, half)]

    def results(before, slope, after):
        u = x[:, None] + before
        return np.clip(np.where(u >= 0, u, u >> slope) + after, -half, half - 1)

    table = results(*np.array(every).T)
    np.testing.assert_array_equal(results(*fit_rprelu(table, bits, NODE)), table)


def test_other_functions_of_few_bits_are_refused():
    steps = np.array(list(itertools.product((0, 1, 2), repeat=7)))  # from one result to the next, -4 at first
    tables = {tuple(row) for row in np.clip(np.cumsum(np.c_[np.full(len(steps), -4), steps], axis=1), -4, 3)}
    x = np.arange(-4, 4)
    known = set()
    for before, slope, after in itertools.product(x, range(3), x):
        u = x + before
        known.add(tuple(np.clip(np.where(u >= 0, u, u >> slope) + after, -4, 3)))
    assert known & tables and tables - known
    for row in tables:
        if row in known:
            fit_rprelu(np.array(row)[:, None], 3, NODE)
        else:
            with pytest.raises(PassError, match="channel 0"):
                fit_rprelu(np.array(row)[:, None], 3, NODE)


@pytest.mark.parametrize("slope", [-0.5, 0.3, 2.0, 0.0])
def test_other_slopes_are_left_to_prelu(slope):
    graph = QonnxGraph()
    x = graph.quant(graph.node("PRelu", graph.integers(), per_channel([slope] * 4)), rounding="FLOOR")
    assert kinds(applied(graph.model(x), InferRPReLU)) == []


def test_signs_and_real_tensors_and_chains_without_a_bend_are_left_alone():
    graph = QonnxGraph()
    assert (
        kinds(
            applied(graph.model(graph.quant(graph.node("PRelu", graph.signs(), per_channel([0.5] * 4)))), InferRPReLU)
        )
        == []
    )
    graph = QonnxGraph()
    x = graph.node("PRelu", graph.node("Sigmoid", graph.integers()), per_channel([0.5] * 4))
    assert kinds(applied(graph.model(graph.quant(x)), InferRPReLU)) == []
    graph = QonnxGraph()
    assert kinds(applied(graph.model(graph.quant(graph.node("Add", graph.integers(), 0.25))), InferRPReLU)) == []


@pytest.mark.parametrize("more", [False, True], ids=["at the output", "in front of a sign"])
def test_another_grid_is_refused(more):
    graph = QonnxGraph()
    x = graph.quant(graph.node("PRelu", graph.integers(), per_channel([0.5] * 4)), 0.5, 5)
    model = graph.model(graph.bipolar(x) if more else x)
    assert_refused(model, InferRPReLU, r"Quant_1 \(Quant, 1x4x4x4\): an activation must end on the grid of its input")


@pytest.mark.parametrize("bits", [2, 4, 5])
def test_a_channel_that_saturates_everywhere(bits):
    """No value that is inside tells the shift behind the slope; where saturation ends does."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    x = np.arange(low, high + 1)
    table = np.stack([np.full(len(x), low), x], axis=1)
    before, slope, after = fit_rprelu(table, bits, NODE)
    u = x[:, None] + before
    np.testing.assert_array_equal(np.clip(np.where(u >= 0, u, u >> slope) + after, low, high), table)
    assert min(before.min(), after.min()) >= low and max(before.max(), after.max()) <= high


def test_the_largest_value_everywhere_is_no_such_function():
    """From u = -1 on, the least value gives one less."""
    with pytest.raises(PassError, match="channel 0 is no shift"):
        fit_rprelu(np.full((32, 1), 15), 5, NODE)


def test_another_function_is_named_by_its_channel():
    table = np.stack([np.arange(-16, 16), np.abs(np.arange(-16, 16))], axis=1)
    with pytest.raises(PassError, match=r"act \(Quant\): channel 1 is no shift, PReLU of slope 2\^-k and shift"):
        fit_rprelu(table, 5, NODE)


@pytest.mark.parametrize("grid", [{"narrow": 1}, {"signed": 0}], ids=["narrow", "unsigned"])
def test_grids_of_another_range(grid):
    """As a convolution's output is: InferIntConv, which gives it the whole range, comes later."""
    graph = QonnxGraph()
    x = graph.integers(**grid)
    applied(graph.model(graph.quant(graph.node("PRelu", x, per_channel([0.5] * 4)), **grid)), InferRPReLU)


def test_a_narrow_convolution_in_front_of_a_prelu():
    graph = QonnxGraph()
    x = graph.conv(graph.integers(), graph.integer_weights(4, 4, 1, 1))
    x = graph.quant(x, 0.25, 5, narrow=1, rounding="FLOOR")
    x = graph.quant(graph.node("PRelu", x, per_channel([0.5] * 4)), narrow=1)
    to_integers(graph.model(x))
