"""What the passes that infer nodes share: they go on behind a refusal, note what nodes became, and keep the order."""

import json

import numpy as np
import pytest
from onnx import helper

from flow.errors import FlowError
from flow.passes import InferActivation, InferIntConv, InferMaxPool, InferRPReLU, InferXnorPopcount, PassError, run_pass
from flow.passes.rewrite import Rewrite, refuse

from .graphs import QonnxGraph, applied, kinds, node_types

NODE = helper.make_node("Conv", ["x", "w"], ["y"], name="layer")


def notes(model, kind):
    return json.loads(model.get_metadata_prop(f"flow_{kind}") or "{}")


def test_a_refusal_names_node_type_reason_and_way():
    error = refuse(NODE, "it is too wide", "make it narrower")
    assert str(error) == "layer (Conv): it is too wide; make it narrower"
    assert (error.name, error.kind, error.reason, error.way) == ("layer", "Conv", "it is too wide", "make it narrower")
    assert str(refuse(NODE, "it is too wide")) == "layer (Conv): it is too wide"


def test_a_node_without_a_name_is_named_by_its_output():
    assert str(refuse(helper.make_node("Conv", ["x", "w"], ["y"]), "no")) == "y (Conv): no"


def test_a_pass_without_a_rewrite_is_no_pass():
    with pytest.raises(NotImplementedError):
        run_pass(graph_of_pools(1), Rewrite)


def graph_of_pools(count, odd=None):
    """Pools one behind the other; the one of number ``odd`` reads a map padded with a number off the grid, after which
    no grid is known."""
    graph = QonnxGraph(height=16)
    x = graph.quant(graph.node("Sub", "image", 128.0), 1.0, 8)
    for index in range(count):
        x = graph.pad(x, -200.5) if index == odd else x
        x = graph.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
        x = graph.quant(x, 1.0, 8) if index == odd else x
    return graph.model(x)


def test_a_pass_goes_on_behind_what_it_refuses():
    model = applied(graph_of_pools(3, odd=1), InferMaxPool)
    assert node_types(model)[2:] == [
        *("ToStream", "MaxPool", "FromStream"),
        *("Pad", "MaxPool"),
        *("Quant", "ToStream", "SlidingWindow", "ReduceWindow", "FromStream"),
    ]
    (refused,) = notes(model, "refusals").values()
    assert refused["name"] == "MaxPool_1" and refused["type"] == "MaxPool" and "padded with -200.5" in refused["reason"]


def test_the_first_refusal_of_a_node_stays():
    """InferRPReLU refuses the grid, and InferActivation, by itself, the curve behind the bend."""

    def bent():
        graph = QonnxGraph()
        x = graph.node("Sigmoid", graph.node("PRelu", graph.integers(bits=10, scale=1 / 64), np.full((4, 1, 1), 0.5)))
        x = graph.node("Add", x, np.linspace(0, 1, 4).reshape(4, 1, 1))
        return graph.model(graph.quant(x, 0.001, 12))

    model = bent()
    first = notes(run_pass(model, InferRPReLU), "refusals")
    assert "must end on the grid" in first["PRelu_0_out"]["reason"]
    assert notes(run_pass(model, InferActivation), "refusals")["PRelu_0_out"] == first["PRelu_0_out"]
    assert "two straight lines" in notes(run_pass(bent(), InferActivation), "refusals")["PRelu_0_out"]["reason"]


def test_what_became_of_nodes_is_noted():
    graph = QonnxGraph()
    x = graph.binary_conv(graph.signs())
    model = run_pass(graph.model(graph.quant(graph.batch_norm(x, [1.0] * 4))), InferXnorPopcount)
    assert notes(model, "origins") == {
        "Conv_0": "SlidingWindow + XnorPopcount",
        "Pad_0": "with Conv_0",
        "BatchNormalization_0": "with Conv_0",
        "Quant_0": "with Conv_0",
    }


def test_the_graph_stays_in_topological_order():
    graph = QonnxGraph()
    x = graph.signs()
    branches = [graph.quant(graph.binary_conv(x, pad=pad)) for pad in (-1.0, 0.0, 1.0)]
    total = graph.node("Add", graph.node("Add", *branches[:2]), branches[2])
    model = applied(graph.model(total), InferXnorPopcount)
    assert kinds(model) == ["SlidingWindow", "XnorPopcount"] * 3
    known = {"image", *(tensor.name for tensor in model.graph.initializer)}
    for node in model.graph.node:
        assert set(node.input) <= known
        known |= set(node.output)
    assert len({node.name for node in model.graph.node}) == len(model.graph.node)


@pytest.mark.parametrize(("scale", "dtype"), [(1, np.int8), (100, np.int16), (100_000, np.int32)])
def test_constants_are_as_narrow_as_they_can_be(scale, dtype):
    graph = QonnxGraph(height=1)
    bias = np.float32([1, -2, 3, -1]) * scale / 32
    x = graph.conv(graph.integers(), graph.integer_weights(4, 4, 1, 1), bias)
    model = run_pass(graph.model(x), InferIntConv)
    engine = next(node for node in model.graph.node if node.op_type == "IntConv")
    assert model.get_initializer(engine.input[2]).dtype == dtype


def test_an_error_is_one_the_user_is_meant_to_see():
    assert issubclass(PassError, FlowError)
