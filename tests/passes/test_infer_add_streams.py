import numpy as np
import pytest

from flow.execute import execute_graph
from flow.passes import InferAddStreams, PassError, to_integers

from .graphs import QonnxGraph, applied, assert_refused, kinds, node_types, only, random_images


def branch(graph, x, gain=1.0, **quantizer):
    """x times gain, behind its own quantizer."""
    return graph.quant(graph.node("Mul", x, gain), **quantizer)


def test_a_saturating_sum():
    graph = QonnxGraph()
    x = graph.integers()
    model = graph.model(graph.quant(graph.node("Add", x, branch(graph, x, 0.75))))
    sums = execute_graph(model, random_images(model))
    assert (sums.min(), sums.max()) == (-4.0, 3.75)  # both ends of 5 bits
    model = applied(model, InferAddStreams)
    assert node_types(model)[-4:] == ["ToStream", "ToStream", "AddStreams", "FromStream"]
    assert only(model, "AddStreams").op.bits == 5


@pytest.mark.parametrize("rounding", ["ROUND", "FLOOR", "CEIL"])
def test_rounding_does_not_matter(rounding):
    """Sums of one grid lie on it."""
    graph = QonnxGraph()
    x = graph.integers()
    model = graph.model(graph.quant(graph.node("Add", branch(graph, x, -0.3), x), rounding=rounding))
    assert kinds(applied(model, InferAddStreams)) == ["AddStreams"]


def test_a_wider_result_does_not_saturate():
    graph = QonnxGraph()
    x = graph.integers(bits=5)
    model = applied(graph.model(graph.quant(graph.node("Add", x, branch(graph, x, bits=4)), bits=7)), InferAddStreams)
    assert only(model, "AddStreams").op.bits == 7


def test_two_unsigned_tensors():
    graph = QonnxGraph()
    x = graph.integers(bits=4, signed=0)
    added = graph.node("Add", x, branch(graph, x, 0.5, bits=4, signed=0))
    model = applied(graph.model(graph.quant(added, bits=4, signed=0)), InferAddStreams)
    assert only(model, "AddStreams").op.bits == 5


def test_dense_tensors():
    graph = QonnxGraph(channels=2, height=2)
    x = graph.node("Flatten", graph.integers())
    model = applied(graph.model(graph.quant(graph.node("Add", x, branch(graph, x, 0.5)))), InferAddStreams)
    assert only(model, "AddStreams").op.channels == 8


def test_signs_are_refused():
    graph = QonnxGraph()
    x = graph.integers()
    model = graph.model(graph.quant(graph.node("Add", x, graph.bipolar(x, 0.25))))
    assert_refused(model, InferAddStreams, r"Add_0 \(Add, 1x4x4x4\): adds tensors that are not fixed point")


def test_real_tensors_are_refused():
    graph = QonnxGraph()
    x = graph.integers()
    model = graph.model(graph.quant(graph.node("Add", graph.node("Mul", x, 0.3), x)))
    assert_refused(model, InferAddStreams, r"Add_0 .*adds tensors that are not fixed point")


def test_a_real_sum_is_refused():
    graph = QonnxGraph()
    x = graph.integers()
    model = graph.model(graph.node("Sigmoid", graph.node("Add", x, branch(graph, x))))
    assert_refused(
        model,
        InferAddStreams,
        r"Add_0 .*its sum is not quantized: put a Quant with the residual's scale behind it",
    )


def test_a_sum_with_two_readers_is_refused():
    graph = QonnxGraph()
    x = graph.integers()
    added = graph.node("Add", x, branch(graph, x))
    model = graph.model(graph.node("Mul", graph.quant(added), graph.bipolar(added)))
    assert_refused(model, InferAddStreams, r"Add_0 .*its sum is not quantized")


@pytest.mark.parametrize(
    ("one", "result", "scales"),
    [
        ({"scale": 0.5}, {}, "0.25, 0.5 and 0.25"),
        ({}, {"scale": 0.5}, "0.25, 0.25 and 0.5"),
        ({"bits": 6}, {}, "0.25, 0.25 and 0.25"),  # too wide for the result
    ],
)
def test_different_grids_are_refused(one, result, scales):
    graph = QonnxGraph()
    x = graph.integers()
    model = graph.model(graph.quant(graph.node("Add", x, branch(graph, x, **one)), **result))
    assert_refused(model, InferAddStreams, rf"Add_0 .*its scales {scales} differ")


def test_constants_are_left_alone():
    graph = QonnxGraph()
    assert kinds(applied(graph.model(graph.quant(graph.node("Add", graph.integers(), 0.5))), InferAddStreams)) == []


@pytest.mark.parametrize("result", [{"narrow": 1}, {"signed": 0}], ids=["narrow", "unsigned"])
def test_a_result_of_another_range(result):
    graph = QonnxGraph()
    x = graph.integers()
    model = graph.model(graph.quant(graph.node("Add", x, branch(graph, x, 0.75)), **result))
    applied(model, InferAddStreams)


def test_a_result_of_several_scales_is_refused():
    graph = QonnxGraph()
    x = graph.integers()
    scales = np.float32([0.25, 0.25, 0.5, 0.5]).reshape(1, 4, 1, 1)
    model = graph.model(graph.quant(graph.node("Add", x, branch(graph, x)), scales))
    with pytest.raises(PassError, match="Quant_2"):
        to_integers(model)
