import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.passes import InferSignThreshold, PassError, to_integers

from .graphs import QonnxGraph, applied, assert_refused, kinds, node_types, only


def test_a_sign_compares_with_zero():
    """A tie votes +1, as in BipolarQuant."""
    graph = QonnxGraph()
    model = applied(graph.model(graph.bipolar(graph.integers(), 0.5)), InferSignThreshold)
    assert node_types(model) == ["Sub", "Mul", "Quant", "ToStream", "SignThreshold", "FromStream"]
    node = only(model, "SignThreshold")
    assert node.op.bits == 5
    np.testing.assert_array_equal(node.constants[0], [0, 0, 0, 0])


def test_batch_norm_moves_the_threshold():
    """x * 0.25 + bias >= 0 from the integer -bias * 4 on; a channel may be always or never +1."""
    graph = QonnxGraph(channels=6)
    bias = [0.0, -1.0, 0.3, -0.3, 100.0, -100.0]
    model = graph.model(graph.bipolar(graph.batch_norm(graph.integers(bits=5), [1.0] * 6, bias)))
    node = only(applied(model, InferSignThreshold), "SignThreshold")
    np.testing.assert_array_equal(node.constants[0], [0, 4, -1, 2, -16, 16])


def test_a_zero_scale_is_a_constant_sign():
    graph = QonnxGraph()
    model = graph.model(graph.bipolar(graph.batch_norm(graph.integers(bits=5), [0, 0, 0, 1], [0, 1, -1, 0])))
    node = only(applied(model, InferSignThreshold), "SignThreshold")
    np.testing.assert_array_equal(node.constants[0], [-16, -16, 16, 0])


def test_an_unsigned_tensor():
    graph = QonnxGraph()
    model = graph.model(graph.bipolar(graph.node("Sub", graph.integers(bits=4, signed=0), 1.0)))
    node = only(applied(model, InferSignThreshold), "SignThreshold")
    assert node.op.bits == 5
    np.testing.assert_array_equal(node.constants[0], [4] * 4)


def test_a_chain_of_several_nodes_is_one_threshold():
    """Two rising nodes and two falling ones: it rises."""
    graph = QonnxGraph()
    x = graph.node("Neg", graph.node("Mul", graph.integers(), -3.0))
    x = graph.node("Sub", graph.node("Div", graph.node("Identity", x), 2.0), np.float32([0, 1, 2, 3])[:, None, None])
    model = applied(graph.model(graph.bipolar(x)), InferSignThreshold)
    assert kinds(model) == ["SignThreshold"]
    np.testing.assert_array_equal(only(model, "SignThreshold").constants[0], np.ceil(np.arange(4) / 1.5 / 0.25))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 9))
def test_any_batch_norm(seed, bits):
    graph = QonnxGraph(channels=8, height=2, seed=seed)
    x = graph.integers(bits=bits, scale=0.25)
    scale, bias = graph.rng.uniform(0, 2, 8), graph.rng.normal(size=8) * 2.0 ** (bits - 4)
    model = graph.model(graph.bipolar(graph.batch_norm(x, scale, bias, graph.rng.normal(size=8), 0.5, 1e-5)))
    assert kinds(applied(model, InferSignThreshold)) == ["SignThreshold"]


def test_a_falling_sign_is_turned_first():
    graph = QonnxGraph()
    x = graph.batch_norm(graph.integers(), [1, -1, 1, -2], [0.3, 0.5, -1.0, 1.0])
    model = applied(graph.model(graph.bipolar(x)), InferSignThreshold)
    assert kinds(model) == ["PReLU", "SignThreshold"]


def test_the_sign_of_a_size_turns():
    graph = QonnxGraph()
    x = graph.node("PRelu", graph.integers(), np.full((4, 1, 1), -1.0))
    model = graph.model(graph.bipolar(graph.node("Sub", x, 1.0)))
    assert kinds(applied(model, InferSignThreshold)) == ["ValueTable", "SignThreshold"]


def test_a_sign_that_turns_often_and_in_each_channel_otherwise_is_refused():
    graph = QonnxGraph()
    x = graph.node("Sin", graph.batch_norm(graph.integers(bits=10), [10.0, 11.0, 12.0, 13.0]))
    match = r"BipolarQuant_0 \(BipolarQuant, 1x4x4x4\): it neither rises nor falls with what it compares"
    assert_refused(graph.model(graph.bipolar(x)), InferSignThreshold, match)


def test_signs_of_signs_and_of_shared_sums_are_left_alone():
    graph = QonnxGraph()
    model = graph.model(graph.bipolar(graph.node("Mul", graph.signs(), 2.0)))
    assert kinds(applied(model, InferSignThreshold)) == []
    graph = QonnxGraph()
    shared = graph.node("Mul", graph.integers(), 2.0)
    model = graph.model(graph.node("Add", graph.bipolar(shared), shared))
    assert kinds(applied(model, InferSignThreshold)) == []


@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (4,)], ids=["of every pixel", "of every column"])
def test_constants_of_pixels_are_no_constants_of_channels(shape):
    graph = QonnxGraph()
    model = graph.model(
        graph.bipolar(graph.node("Add", graph.integers(), np.linspace(-3, 3, np.prod(shape)).reshape(shape)))
    )
    applied(model, InferSignThreshold)


def test_several_scales_behind_a_sign_are_refused():
    graph = QonnxGraph()
    scales = np.float32([0.25, 0.25, 0.5, 0.5]).reshape(1, 4, 1, 1)
    with pytest.raises(PassError, match="BipolarQuant_0"):
        to_integers(graph.model(graph.bipolar(graph.integers(), scales)))
