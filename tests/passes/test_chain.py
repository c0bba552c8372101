import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from flow.execute import Execution
from flow.passes import PassError
from flow.passes.chain import chain_input, chain_to_quantizer, evaluate_chain, rising_steps

from .graphs import QonnxGraph


def chain_from(graph, output, start):
    """(model, chain from the node of the name ``start``)."""
    model = graph.model(output)
    node = next(node for node in model.graph.node if node.name == start)
    chain = chain_to_quantizer(model, node)
    return model, chain


ELEMENTWISE = {
    "Add": lambda graph, x: graph.node("Add", x, 0.3),
    "Sub": lambda graph, x: graph.node("Sub", x, 0.3),
    "Sub, constant first": lambda graph, x: graph.node("Sub", 0.3, x),
    "Mul": lambda graph, x: graph.node("Mul", np.float32([1, -2, 3, 4]).reshape(1, 4, 1, 1), x),
    "Div": lambda graph, x: graph.node("Div", x, 0.7),
    "BatchNormalization": lambda graph, x: graph.batch_norm(x, [1, -2, 0.5, 0], [1, 2, 3, 4], 0.3, 0.6, 1e-3),
    "Neg": lambda graph, x: graph.node("Neg", x),
    "Identity": lambda graph, x: graph.node("Identity", x),
    "PRelu": lambda graph, x: graph.node("PRelu", x, np.float32([0.1, -1, 0, 2]).reshape(4, 1, 1)),
    "Relu": lambda graph, x: graph.node("Relu", x),
    "Clip": lambda graph, x: graph.node("Clip", x, -1.0, 0.5),
}


@pytest.mark.parametrize("kind", ELEMENTWISE)
@pytest.mark.parametrize("quantizer", ["quant", "bipolar"])
def test_a_chain_is_evaluated_as_the_graph_runs_it(kind, quantizer):
    graph = QonnxGraph(height=2)
    x = ELEMENTWISE[kind](graph, graph.node("Div", "image", 1.0))
    output = getattr(graph, quantizer)(graph.node("Mul", graph.node("Sub", x, 0.1), 2.0))
    model, chain = chain_from(graph, output, "Div_0")
    last = "Quant" if quantizer == "quant" else "BipolarQuant"
    assert [node.op_type for node in chain] == ["Div", kind.split(",")[0], "Sub", "Mul", last]
    assert chain_input(model, chain) == "image"
    values = np.linspace(-5, 5, 41)
    found = evaluate_chain(model, chain, values, 4)
    tensor = np.broadcast_to(values[:, None, None, None], (41, 4, 1, 1)).astype(np.float32)
    expected = Execution(model).run({"image": tensor})[output]
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(found, expected[:, :, 0, 0])


def test_values_of_their_own_for_every_channel():
    graph = QonnxGraph()
    model, chain = chain_from(graph, graph.quant(graph.node("Add", "image", 1.0), 0.5, 6), "Add_0")
    values = np.arange(12.0).reshape(3, 4) / 2
    np.testing.assert_array_equal(evaluate_chain(model, chain, values, 4), values + 1)


def test_a_quantizer_alone_is_a_chain():
    graph = QonnxGraph()
    _, chain = chain_from(graph, graph.quant("image"), "Quant_0")
    assert [node.op_type for node in chain] == ["Quant"]


def test_a_chain_ends_at_its_first_quantizer():
    graph = QonnxGraph()
    _, chain = chain_from(graph, graph.bipolar(graph.node("Neg", graph.quant(graph.node("Neg", "image")))), "Neg_0")
    assert [node.name for node in chain] == ["Neg_0", "Quant_0"]


@pytest.mark.parametrize("kind", ["Softmax", "two variables", "two readers", "no reader", "variable scale"])
def test_what_is_no_chain(kind):
    graph = QonnxGraph()
    x = graph.node("Neg", "image")
    if kind == "two variables":
        x = graph.bipolar(graph.node("Add", x, "image"))
    elif kind == "two readers":
        x = graph.node("Add", graph.bipolar(x), graph.quant(x))
    elif kind == "variable scale":
        x = graph.node("BipolarQuant", x, "image", domain="qonnx.custom_op.general")
    elif kind != "no reader":
        x = graph.bipolar(graph.node(kind, x))
    _, chain = chain_from(graph, x, "Neg_0")
    assert chain is None


def test_the_quantizer_of_a_constant_is_no_chain():
    graph = QonnxGraph()
    output = graph.conv("image", graph.binary_weights(4, 4, 1, 1))
    _, chain = chain_from(graph, output, "BipolarQuant_0")
    assert chain is None


# rising_steps

NODE = helper.make_node("BipolarQuant", ["x"], ["y"], name="sign")


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.data())
def test_steps_rise_with_the_value_or_with_its_opposite(count, data):
    """With ``count`` values in front of the step, the bits of the value, or of the opposite value, come back."""
    places = data.draw(st.lists(st.integers(0, count), min_size=1, max_size=6))
    falls = np.array([data.draw(st.booleans()) for _ in places])
    index = np.arange(count)[:, None]
    rising = index >= np.array(places)
    bits = np.where(falls, rising[::-1], rising)
    falling, before = rising_steps(bits, NODE)
    found = index >= before
    np.testing.assert_array_equal(np.where(falling, found[::-1], found), bits)
    constant = bits.all(axis=0) | ~bits.any(axis=0)
    np.testing.assert_array_equal(falling, falls & ~constant)


def test_bits_that_do_both_are_refused():
    bits = np.array([[0, 1], [1, 0], [1, 1]], bool)
    with pytest.raises(PassError, match=r"sign \(BipolarQuant\): it neither rises nor falls with what it compares"):
        rising_steps(bits, NODE)
