import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.passes import InferVoteSelect

from .graphs import LAST_PLACE, QonnxGraph, applied, kinds, node_types, only


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_batch_norm_of_a_vote_has_two_values(scale):
    graph = QonnxGraph()
    x = graph.batch_norm(graph.signs(scale), [1.0, -0.5, 0.0, 0.3], [0.5, 0.25, -1.0, 0.0])
    model = applied(graph.model(graph.quant(x, 0.25, 5)), InferVoteSelect)
    assert node_types(model) == ["Sub", "BipolarQuant", "ToStream", "VoteSelect", "FromStream"]
    node = only(model, "VoteSelect")
    assert node.op.bits == 5
    gain, offset = scale * np.array([1.0, -0.5, 0.0, 0.3]), np.array([0.5, 0.25, -1.0, 0.0])
    np.testing.assert_array_equal(node.constants, np.rint(np.array([offset - gain, offset + gain]) / 0.25))


def test_values_saturate():
    graph = QonnxGraph()
    model = graph.model(graph.quant(graph.node("Mul", graph.signs(), 100.0), 0.25, 5))
    low, high = only(applied(model, InferVoteSelect), "VoteSelect").constants
    assert set(low) == {-16} and set(high) == {15}


@pytest.mark.parametrize("scale", [0.1, 0.3, 0.7])
def test_scales_that_are_no_powers_of_two(scale):
    """The table holds the integers, whatever the last place of their multiples."""
    graph = QonnxGraph(channels=8)
    steps = np.arange(1, 9)
    x = graph.batch_norm(graph.signs(), steps * scale, steps * scale)
    node = only(applied(graph.model(graph.quant(x, scale, 6)), InferVoteSelect, tolerance=LAST_PLACE), "VoteSelect")
    np.testing.assert_array_equal(node.constants, [np.zeros(8), 2 * steps])


def test_a_quantizer_alone_selects():
    graph = QonnxGraph()
    low, high = only(applied(graph.model(graph.quant(graph.signs())), InferVoteSelect), "VoteSelect").constants
    assert set(low) == {-4} and set(high) == {4}


def test_a_bend_and_an_unsigned_quantizer():
    """Whatever stands between: a vote has two values."""
    graph = QonnxGraph()
    x = graph.node("Relu", graph.node("Add", graph.signs(), 0.5))
    node = only(applied(graph.model(graph.quant(x, 0.25, 3, signed=0)), InferVoteSelect), "VoteSelect")
    assert node.op.bits == 4
    low, high = node.constants
    assert set(low) == {0} and set(high) == {6}


def test_a_dense_vote():
    graph = QonnxGraph(channels=2, height=2)
    x = graph.batch_norm(graph.node("Flatten", graph.signs()), np.linspace(-1, 1, 8))
    model = applied(graph.model(graph.quant(x)), InferVoteSelect)
    assert only(model, "VoteSelect").op.channels == 8


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 9), st.sampled_from(["ROUND", "FLOOR", "CEIL"]))
def test_any_batch_norm(seed, bits, rounding):
    graph = QonnxGraph(channels=6, height=2, seed=seed)
    scale, bias = graph.rng.normal(size=(2, 6)) * 2.0 ** (bits - 4)
    model = graph.model(graph.quant(graph.batch_norm(graph.signs(), scale, bias), 0.25, bits, rounding=rounding))
    assert kinds(applied(model, InferVoteSelect)) == ["VoteSelect"]


def test_fixed_point_is_left_alone():
    graph = QonnxGraph()
    assert kinds(applied(graph.model(graph.quant(graph.node("Mul", graph.integers(), 2.0))), InferVoteSelect)) == []


def test_a_sign_of_a_vote():
    graph = QonnxGraph()
    x = graph.bipolar(graph.batch_norm(graph.signs(), [1.0, -1.0, 0.5, 0.5], [0.0, 0.0, 1.0, -1.0]))
    assert kinds(applied(graph.model(x), InferVoteSelect)) == ["VoteSelect", "SignThreshold"]


def test_several_scales_are_left_alone():
    graph = QonnxGraph()
    scales = np.float32([0.25, 0.25, 0.5, 0.5]).reshape(1, 4, 1, 1)
    assert (
        kinds(applied(graph.model(graph.quant(graph.node("Mul", graph.signs(), 2.0), scales)), InferVoteSelect)) == []
    )


def test_a_vote_padded_with_zeros_is_no_vote():
    graph = QonnxGraph()
    applied(graph.model(graph.quant(graph.node("Mul", graph.pad(graph.signs()), 3.0))), InferVoteSelect)


def test_constants_of_pixels_are_no_constants_of_channels():
    graph = QonnxGraph()
    x = graph.node("Mul", graph.signs(), np.arange(16.0).reshape(1, 1, 4, 4) / 4)
    applied(graph.model(graph.quant(x)), InferVoteSelect)
