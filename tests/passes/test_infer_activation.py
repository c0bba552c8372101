import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.passes import InferActivation

from .graphs import LAST_PLACE, QonnxGraph, applied, assert_refused, kinds, node_types, only


def per_channel(values):
    """Return the values as a constant of channels."""
    return np.reshape(values, (-1, 1, 1))


SLOPES = np.float32([0.3, -0.7, 1.0, 0.0]).reshape(4, 1, 1)


def approximations(model) -> dict:
    return json.loads(model.get_metadata_prop("flow_approximations") or "{}")


@pytest.mark.parametrize("rounding", ["ROUND", "FLOOR", "CEIL"])
def test_any_slopes_are_two_lines(rounding):
    graph = QonnxGraph(height=8)
    model = graph.model(graph.quant(graph.node("PRelu", graph.integers(), SLOPES), 0.17, 6, rounding=rounding))
    model = applied(model, InferActivation, tolerance=LAST_PLACE)
    assert node_types(model) == ["Sub", "Mul", "Quant", "ToStream", "PReLU", "FromStream"]
    node = only(model, "PReLU")
    assert (node.op.bits, node.op.out_bits) == (5, 6)
    step, down, _, up, _ = node.constants
    np.testing.assert_array_equal(step, [0] * 4)
    np.testing.assert_allclose(up / 2**node.op.shift, 0.25 / 0.17, atol=0.05)
    np.testing.assert_allclose(down / 2**node.op.shift, SLOPES.ravel() * 0.25 / 0.17, atol=0.05)
    assert approximations(model) == {}


def test_the_step_lies_where_the_bend_turns_positive():
    graph = QonnxGraph(height=8)
    x = graph.batch_norm(graph.integers(), [1.0, 0.5, 1.0, 1.0], [0.0, 0.25, -1.1, 20.0])
    node = only(
        applied(
            graph.model(graph.quant(graph.node("PRelu", x, SLOPES), 0.17, 6)), InferActivation, tolerance=LAST_PLACE
        ),
        "PReLU",
    )
    np.testing.assert_array_equal(node.constants[0], [0, -2, 5, -16])


def test_a_falling_bend_turns_back_at_its_step():
    graph = QonnxGraph(height=8)
    x = graph.batch_norm(graph.integers(), [-1.0, -0.5, 1.0, 0.0], [0.0, 0.25, 0.5, 1.0])
    node = only(
        applied(
            graph.model(graph.quant(graph.node("PRelu", x, SLOPES), 0.17, 6)), InferActivation, tolerance=LAST_PLACE
        ),
        "PReLU",
    )
    np.testing.assert_array_equal(node.constants[0], [1, 3, -2, -16])


def test_relu_into_an_unsigned_quantizer():
    graph = QonnxGraph()
    model = graph.model(graph.quant(graph.node("Relu", graph.integers()), 0.25, 3, signed=0))
    node = only(applied(model, InferActivation), "ValueTable")
    assert (node.op.bits, node.op.out_bits) == (5, 4)
    np.testing.assert_array_equal(node.constants[0], np.clip(np.arange(-16, 16), 0, 7))


def test_constants_without_a_bend_are_one_line():
    graph = QonnxGraph()
    x = graph.batch_norm(graph.integers(), [0.3, -1.2, 0.0, 1.0], [0.1, 0.2, -0.3, 0.4])
    only(applied(graph.model(graph.quant(x, 0.17, 6)), InferActivation, tolerance=LAST_PLACE), "PReLU")


def test_a_dense_tensor():
    graph = QonnxGraph(channels=2, height=2)
    x = graph.batch_norm(graph.node("Flatten", graph.integers()), np.linspace(-1, 1, 8), 0.1)
    assert (
        only(applied(graph.model(graph.quant(x, 0.17, 6)), InferActivation, tolerance=LAST_PLACE), "PReLU").op.channels
        == 8
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 8), st.integers(3, 8))
def test_any_constants_around_a_prelu(seed, bits, out_bits):
    """Random constants meet no half, so that nothing is rounded to even; few steps are thresholds."""
    graph = QonnxGraph(channels=6, height=6, seed=seed)
    scale, bias, after = graph.rng.normal(size=(3, 6))
    x = graph.batch_norm(graph.integers(bits=bits), scale, bias)
    x = graph.node("PRelu", x, graph.rng.normal(size=(6, 1, 1)))
    x = graph.node("Add", x, after.reshape(6, 1, 1))
    model = applied(graph.model(graph.quant(x, 2.0 ** (bits - out_bits - 2), out_bits)), InferActivation)
    assert kinds(model) in (["PReLU"], ["MultiThreshold"], ["ValueTable"]) and approximations(model) == {}


@pytest.mark.parametrize("gain", [0.5, 0.25, 0.125])
def test_halves_that_round_to_even_are_a_table(gain):
    """One of 2, 4 or 8 values is a half, and every second half is rounded down."""
    graph = QonnxGraph(height=8)
    model = applied(graph.model(graph.quant(graph.node("Mul", graph.integers(), gain))), InferActivation)
    assert kinds(model) == ["ValueTable"] and approximations(model) == {}


def test_halves_of_channels_of_their_own_are_off_by_one_at_most_and_noted():
    """So many steps, other ones in each channel, are no table and no thresholds."""
    gain, graph = 0.5, QonnxGraph(height=8)
    x = graph.node("Add", graph.node("Mul", graph.integers(bits=8), gain), per_channel([0.0, 0.25, 0.5, 0.75]))
    model = applied(graph.model(graph.quant(x, bits=7)), InferActivation, tolerance=0.25)
    assert kinds(model) == ["PReLU"]
    (note,) = approximations(model).values()
    assert note["what"] == "two lines" and note["largest_error"] == 1.0
    assert 0 < note["differ"] <= note["values"] * gain


@pytest.mark.parametrize("kind", ["Sigmoid", "Sin"])
def test_a_curve_of_channels_of_their_own_has_up_to_255_thresholds(kind):
    graph = QonnxGraph()
    x = graph.node("Add", graph.node(kind, graph.integers(bits=6, scale=1 / 16)), per_channel([0.0, 0.1, 0.2, 0.3]))
    model = applied(graph.model(graph.quant(x, 0.02, 8)), InferActivation, tolerance=LAST_PLACE)
    assert kinds(model) == ["MultiThreshold"] and 31 < only(model, "MultiThreshold").op.thresholds <= 255


# what it refuses or leaves


def test_a_curve_of_channels_of_their_own_and_many_steps_is_refused():
    graph = QonnxGraph()
    x = graph.node(
        "Add", graph.node("Sigmoid", graph.integers(bits=10, scale=1 / 64)), per_channel([0.0, 0.1, 0.2, 0.3])
    )
    assert_refused(
        graph.model(graph.quant(x, 0.001, 12)),
        InferActivation,
        r"Sigmoid_0 \(Sigmoid, .*two straight lines a channel differ by \d+ from it, and it has too many steps",
    )


@pytest.mark.parametrize("kind", ["Max", "Min", "HardSwish", "Sigmoid", "Tanh", "HardSigmoid", "Relu", "LeakyRelu"])
def test_functions_that_all_channels_share_are_tables(kind):
    graph = QonnxGraph()
    x = graph.node(kind, graph.integers(), *([0.5] if kind in ("Max", "Min") else []))
    assert kinds(applied(graph.model(graph.quant(x, 0.125, 7)), InferActivation)) == ["ValueTable"]


def test_a_clip_inside_the_range():
    graph = QonnxGraph()
    model = graph.model(graph.quant(graph.node("Clip", graph.integers(), -1.0, 1.0)))
    assert kinds(applied(model, InferActivation)) == ["ValueTable"]


@pytest.mark.parametrize("bits", [2, 3])
def test_few_steps_of_channels_of_their_own_are_thresholds(bits):
    graph = QonnxGraph()
    x = graph.node("Add", graph.node("HardSwish", graph.integers()), per_channel([0.0, 0.3, -0.4, 1.0]))
    node = only(applied(graph.model(graph.quant(x, 0.25, bits)), InferActivation), "MultiThreshold")
    assert node.op.falls, "a HardSwish falls before it rises"


def test_an_unsigned_quantizer_cuts_off_as_a_relu_does():
    graph = QonnxGraph()
    x = graph.node("Add", graph.integers(), per_channel([0.1, 0.3, -0.4, 1.0]))
    model = applied(graph.model(graph.quant(x, 0.25, 4, signed=0)), InferActivation)
    assert kinds(model) in (["MultiThreshold"], ["PReLU"]) and approximations(model) == {}


def test_a_quantizer_to_another_grid_alone_is_a_table():
    graph = QonnxGraph()
    assert kinds(applied(graph.model(graph.quant(graph.integers(), 0.125, 8)), InferActivation)) == ["ValueTable"]


def test_signs_real_tensors_and_quantizers_that_change_nothing_are_left():
    graph = QonnxGraph()
    assert kinds(applied(graph.model(graph.quant(graph.node("PRelu", graph.signs(), SLOPES))), InferActivation)) == []
    graph = QonnxGraph()
    x = graph.quant(graph.node("PRelu", graph.node("Softmax", graph.integers()), SLOPES))
    assert kinds(applied(graph.model(x), InferActivation)) == []
    graph = QonnxGraph()
    assert kinds(applied(graph.model(graph.quant(graph.integers())), InferActivation)) == []


def test_several_scales_are_left():
    graph = QonnxGraph()
    scales = np.float32([0.25, 0.25, 0.5, 0.5]).reshape(1, 4, 1, 1)
    x = graph.quant(graph.node("PRelu", graph.integers(), SLOPES), scales)
    assert kinds(applied(graph.model(x), InferActivation)) == []


def test_a_leaky_relu_behind_constants_of_channels():
    graph = QonnxGraph()
    x = graph.batch_norm(graph.integers(), [1.0, 0.5, 0.3, 0.7], [0.1, -0.25, 0.6, 1.0])
    x = graph.quant(graph.node("LeakyRelu", x, alpha=0.3), 0.17, 6)
    assert kinds(applied(graph.model(x), InferActivation, tolerance=LAST_PLACE)) == ["PReLU"]


@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (4,)], ids=["of every pixel", "of every column"])
def test_constants_of_pixels_are_no_constants_of_channels(shape):
    graph = QonnxGraph()
    x = graph.node("Add", graph.integers(), np.linspace(-3, 3, np.prod(shape)).reshape(shape))
    applied(graph.model(graph.quant(x, 0.17, 6)), InferActivation, tolerance=LAST_PLACE)


def test_slopes_of_a_dense_tensor():
    graph = QonnxGraph(channels=2, height=2)
    x = graph.node("PRelu", graph.node("Flatten", graph.integers()), np.linspace(-1, 1, 8))
    applied(graph.model(graph.quant(x, 0.17, 6)), InferActivation, tolerance=LAST_PLACE)
