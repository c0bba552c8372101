import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from flow.passes import InferPReLU, PassError
from flow.passes.infer_prelu import fit_lines, line_results, nearest_lines

from .graphs import LAST_PLACE, QonnxGraph, applied, assert_refused, kinds, node_types, only

SLOPES = np.float32([0.3, -0.7, 1.0, 0.0]).reshape(4, 1, 1)


def approximations(model) -> dict:
    return json.loads(model.get_metadata_prop("flow_approximations") or "{}")


@pytest.mark.parametrize("rounding", ["ROUND", "FLOOR", "CEIL"])
def test_any_slopes_are_two_lines(rounding):
    graph = QonnxGraph(height=8)
    model = graph.model(graph.quant(graph.node("PRelu", graph.integers(), SLOPES), 0.17, 6, rounding=rounding))
    model = applied(model, InferPReLU, tolerance=LAST_PLACE)
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
        applied(graph.model(graph.quant(graph.node("PRelu", x, SLOPES), 0.17, 6)), InferPReLU, tolerance=LAST_PLACE),
        "PReLU",
    )
    np.testing.assert_array_equal(node.constants[0], [0, -2, 5, -16])


def test_a_falling_bend_turns_back_at_its_step():
    graph = QonnxGraph(height=8)
    x = graph.batch_norm(graph.integers(), [-1.0, -0.5, 1.0, 0.0], [0.0, 0.25, 0.5, 1.0])
    node = only(
        applied(graph.model(graph.quant(graph.node("PRelu", x, SLOPES), 0.17, 6)), InferPReLU, tolerance=LAST_PLACE),
        "PReLU",
    )
    np.testing.assert_array_equal(node.constants[0], [1, 3, -2, -16])


def test_relu_into_an_unsigned_quantizer():
    graph = QonnxGraph()
    model = graph.model(graph.quant(graph.node("Relu", graph.integers()), 0.25, 3, signed=0))
    node = only(applied(model, InferPReLU), "PReLU")
    assert (node.op.bits, node.op.out_bits) == (5, 4)
    assert not node.constants[1].any()


def test_constants_without_a_bend_are_one_line():
    graph = QonnxGraph()
    x = graph.batch_norm(graph.integers(), [0.3, -1.2, 0.0, 1.0], [0.1, 0.2, -0.3, 0.4])
    node = only(applied(graph.model(graph.quant(x, 0.17, 6)), InferPReLU, tolerance=LAST_PLACE), "PReLU")
    np.testing.assert_array_equal(node.constants[0], [-16] * 4)  # all values lie above


def test_a_dense_tensor():
    graph = QonnxGraph(channels=2, height=2)
    x = graph.batch_norm(graph.node("Flatten", graph.integers()), np.linspace(-1, 1, 8), 0.1)
    assert (
        only(applied(graph.model(graph.quant(x, 0.17, 6)), InferPReLU, tolerance=LAST_PLACE), "PReLU").op.channels == 8
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 8), st.integers(3, 8))
def test_any_constants_around_a_prelu(seed, bits, out_bits):
    """Random constants meet no half, so that nothing is rounded to even."""
    graph = QonnxGraph(channels=6, height=6, seed=seed)
    scale, bias, after = graph.rng.normal(size=(3, 6))
    x = graph.batch_norm(graph.integers(bits=bits), scale, bias)
    x = graph.node("PRelu", x, graph.rng.normal(size=(6, 1, 1)))
    x = graph.node("Add", x, after.reshape(6, 1, 1))
    model = applied(graph.model(graph.quant(x, 2.0 ** (bits - out_bits - 2), out_bits)), InferPReLU)
    assert kinds(model) == ["PReLU"] and approximations(model) == {}


@pytest.mark.parametrize("gain", [0.5, 0.25, 0.125])
def test_halves_that_round_to_even_are_off_by_one_at_most_and_noted(gain):
    """One of 2, 4 or 8 values is a half, and every second half is rounded down."""
    graph = QonnxGraph(height=8)
    model = graph.model(graph.quant(graph.node("Mul", graph.integers(), gain)))
    model = applied(model, InferPReLU, tolerance=0.25)
    assert kinds(model) == ["PReLU"]
    (note,) = approximations(model).values()
    assert note["what"] == "two lines" and note["largest_error"] == 1.0
    assert note["values"] == 32 * 4 and 0 < note["differ"] <= 32 * 4 * gain / 2


# what it refuses or leaves


def test_what_are_no_two_lines_is_refused():
    """An unsigned quantizer bends as a Relu does, but no node says so."""
    graph = QonnxGraph()
    model = graph.model(graph.quant(graph.node("Add", graph.integers(), 0.1), 0.25, 4, signed=0))
    assert_refused(model, InferPReLU, r"Quant_1 \(Quant, 1x4x4x4\): two straight lines a channel differ by \d+ from it")


def test_a_clip_inside_the_range_bends_twice():
    graph = QonnxGraph()
    model = graph.model(graph.quant(graph.node("Clip", graph.integers(), -1.0, 1.0)))
    assert_refused(model, InferPReLU, r"Clip_0 .*both of its ends are no ends of the quantizer's range")


@pytest.mark.parametrize("kind", ["Max", "Min"])
def test_a_clip_at_one_end(kind):
    graph = QonnxGraph()
    model = graph.model(graph.quant(graph.node(kind, graph.integers(), 0.5)))
    assert kinds(applied(model, InferPReLU)) == ["PReLU"]


def test_a_quantizer_to_another_grid_alone_is_one_line():
    graph = QonnxGraph()
    assert kinds(applied(graph.model(graph.quant(graph.integers(), 0.125, 8)), InferPReLU)) == ["PReLU"]


def test_signs_real_tensors_and_quantizers_that_change_nothing_are_left():
    graph = QonnxGraph()
    assert kinds(applied(graph.model(graph.quant(graph.node("PRelu", graph.signs(), SLOPES))), InferPReLU)) == []
    graph = QonnxGraph()
    x = graph.quant(graph.node("PRelu", graph.node("Exp", graph.integers()), SLOPES))
    assert kinds(applied(graph.model(x), InferPReLU)) == []
    graph = QonnxGraph()
    assert kinds(applied(graph.model(graph.quant(graph.integers())), InferPReLU)) == []


def test_several_scales_are_left():
    graph = QonnxGraph()
    scales = np.float32([0.25, 0.25, 0.5, 0.5]).reshape(1, 4, 1, 1)
    x = graph.quant(graph.node("PRelu", graph.integers(), SLOPES), scales)
    assert kinds(applied(graph.model(x), InferPReLU)) == []


def test_a_leaky_relu():
    graph = QonnxGraph()
    x = graph.quant(graph.node("LeakyRelu", graph.integers(), alpha=0.3), 0.17, 6)
    assert kinds(applied(graph.model(x), InferPReLU, tolerance=LAST_PLACE)) == ["PReLU"]


@pytest.mark.xfail(strict=True, reason="evaluate_chain reads the constant of the first pixel for all of them")
@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (4,)], ids=["of every pixel", "of every column"])
def test_constants_of_pixels_are_no_constants_of_channels(shape):
    graph = QonnxGraph()
    x = graph.node("Add", graph.integers(), np.linspace(-3, 3, np.prod(shape)).reshape(shape))
    applied(graph.model(graph.quant(x, 0.17, 6)), InferPReLU, tolerance=LAST_PLACE)


def test_slopes_of_a_dense_tensor():
    graph = QonnxGraph(channels=2, height=2)
    x = graph.node("PRelu", graph.node("Flatten", graph.integers()), np.linspace(-1, 1, 8))
    applied(graph.model(graph.quant(x, 0.17, 6)), InferPReLU, tolerance=LAST_PLACE)


# the fits by themselves

NODE = helper.make_node("Quant", ["x"], ["y"], name="act")


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 8), st.integers(0, 10**6))
def test_two_lines_are_found_again(bits, seed):
    rng, half = np.random.default_rng(seed), 1 << (bits - 1)
    x, steps = np.arange(-half, half), rng.integers(-half, half + 1, 5)
    lines = [rng.integers(-40, 41, 5), rng.integers(-16 * half, 16 * half, 5)] * 2
    table = line_results(x, steps, lines, 4, bits)
    found, shift = fit_lines(x, table, steps, bits, NODE)
    assert shift >= 4
    np.testing.assert_array_equal(line_results(x, steps, found, shift, bits), table)


def test_a_curve_is_no_two_lines():
    x = np.arange(-16, 16)
    with pytest.raises(PassError, match=r"act \(Quant\): no 32-bit multiplier"):
        fit_lines(x, (x[:, None] ** 2) // 16, np.array([0]), 6, NODE)


def test_the_nearest_lines_of_exact_lines():
    """Of halves that are rounded to even; a channel of one value has lines of slope 0."""
    x = np.arange(-16, 16)
    table = np.stack([np.rint(x / 2), np.rint(1.5 * x).clip(-16, 15), np.full(32, 15), np.full(32, -16)], 1).astype(int)
    steps = np.array([0, 0, 0, 16])
    lines, shift = nearest_lines(x, table, steps, 5)
    error = np.abs(line_results(x, steps, lines, shift, 5) - table)
    assert error.max() <= 1 and not error[:, 2:].any()
