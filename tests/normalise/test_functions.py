"""Elementwise nodes whose paths leave one tensor and meet again are one node, which computes the same."""

import numpy as np
import pytest

from flow.execute import Execution
from flow.normalise.means import GlobalPools, ViewedMaps
from flow.normalise.no_ops import SqueezedRows, SumsOfTwo
from flow.normalise.pointwise import FusePointwise
from flow.normalise.refusals import RefuseReshapes, RefuseUnmapped
from tests.passes.graphs import QonnxGraph, node_types, random_images

from .test_normalise import NodeRefused, same


def silu(graph, x):
    return graph.node("Mul", x, graph.node("Sigmoid", x))


def slope(graph, x, slopes=0.1):
    return graph.node("Max", x, graph.node("Mul", x, np.float32(slopes)))


def nested(graph, x):
    return silu(graph, slope(graph, x))


def forked(graph, x):
    a = graph.node("Tanh", x)
    b = graph.node("Mul", a, 0.5)
    return graph.node("Add", graph.node("Mul", b, a), graph.node("Relu", b))


def gelu_by_tanh(graph, x):
    cube = graph.node("Mul", graph.node("Mul", x, graph.node("Mul", x, x)), 0.044715)
    gate = graph.node("Add", graph.node("Tanh", graph.node("Mul", graph.node("Add", x, cube), 0.7978846)), 1.0)
    return graph.node("Mul", graph.node("Mul", x, gate), 0.5)


def band(graph, x):
    inside = graph.node("And", graph.node("Greater", x, -0.4), graph.node("Not", graph.node("Greater", x, 0.8)))
    return graph.node("Where", graph.node("Not", inside), 1.0, -1.0)


WRITTEN = {
    "silu": silu,
    "maximum": slope,
    "slopes of channels": lambda graph, x: slope(graph, x, np.float32([0.1, -1, 0.5, 2]).reshape(1, 4, 1, 1)),
    "square": lambda graph, x: graph.node("Mul", x, x),
    "nested": nested,
    "forked": forked,
    "Gelu by Tanh": gelu_by_tanh,
    "band": band,
}


@pytest.mark.parametrize("name", WRITTEN)
def test_paths_that_meet_are_one_node(name):
    graph = QonnxGraph()
    x = graph.batch_norm("image", [0.02, -0.01, 0.03, 0.01], [0, 1, 2, -1])
    y = WRITTEN[name](graph, x)
    model = same(graph.model(graph.node("Mul", y, 2.0)), FusePointwise)
    kinds = node_types(model)
    assert "Pointwise" in kinds and kinds[-1] == "Mul" and not {"Sigmoid", "Max", "Relu", "Add"} & set(kinds)


def test_batches_of_any_size_and_a_shape_that_is_known():
    graph = QonnxGraph()
    model = same(graph.model(silu(graph, graph.node("Mul", "image", 0.01))), FusePointwise)
    assert model.get_tensor_shape(model.graph.output[0].name) == model.get_tensor_shape("image")
    pixels = random_images(model).transpose(0, 3, 1, 2).astype(np.float32)
    (whole,) = Execution(model).run({"image": pixels}).values()
    (part,) = Execution(model).run({"image": pixels[:1]}).values()
    np.testing.assert_array_equal(part, whole[:1])


def test_a_convolution_between_makes_two_streams():
    graph = QonnxGraph()
    x = graph.node("Mul", "image", 0.01)
    gate = graph.node("Sigmoid", graph.conv(x, graph.integer_weights(4, 4, 1, 1)))
    model = graph.model(graph.node("Mul", x, gate))
    with pytest.raises(NodeRefused, match="it multiplies two streams"):
        model.transform(FusePointwise()).transform(RefuseUnmapped())


def test_a_tensor_that_others_read_stays_beside_the_node():
    graph = QonnxGraph()
    x = graph.node("Mul", "image", 0.01)
    gate = graph.node("Sigmoid", x)
    model = graph.model(graph.node("Concat", graph.node("Mul", x, gate), gate, axis=1))
    assert node_types(same(model, FusePointwise)) == ["Mul", "Sigmoid", "Pointwise", "Concat"]


def test_constants_that_vary_by_position_are_left():
    graph = QonnxGraph()
    x = graph.node("Mul", "image", 0.01)
    y = graph.node("Add", x, np.ones((1, 1, 4, 4), np.float32))
    model = graph.model(graph.node("Mul", x, y))
    assert "Pointwise" not in node_types(model.transform(FusePointwise()))


def test_one_comparison_between_two_constants_is_left_to_be_a_sign():
    graph = QonnxGraph()
    above = graph.node("Greater", graph.node("Mul", "image", 0.01), 0.5)
    model = graph.model(graph.node("Where", above, 1.0, -1.0))
    assert "Pointwise" not in node_types(model.transform(FusePointwise()))


def test_sums_and_differences_of_streams_are_adds():
    graph = QonnxGraph()
    x = graph.node("Mul", "image", 0.01)
    y = graph.node("Sub", graph.node("Sum", x, graph.node("Tanh", x), graph.node("Relu", x)), graph.node("Sigmoid", x))
    kinds = node_types(same(graph.model(y), SumsOfTwo))
    assert kinds.count("Add") == 3 and not {"Sub", "Sum"} & set(kinds)


def test_a_squeeze_of_one_pixel_is_a_flatten():
    graph = QonnxGraph()
    x = graph.node("GlobalAveragePool", "image")
    y = graph.node("Squeeze", x, graph.constant([2, 3], np.int64))
    assert node_types(same(graph.model(y), SqueezedRows)) == ["GlobalAveragePool", "Flatten"]


def test_a_mean_of_maps_that_are_viewed_as_rows():
    graph = QonnxGraph(height=3, width=5)
    x = graph.node("Mul", "image", 0.5)
    x = graph.node("Reshape", x, graph.constant([0, 4, -1], np.int64))
    y = graph.node("ReduceMean", x, axes=[2], keepdims=0)
    assert node_types(same(graph.model(y), ViewedMaps, GlobalPools)) == ["Mul", "GlobalAveragePool", "Flatten"]


REFUSED = {
    "norm of an image": (
        lambda graph, x: graph.node("InstanceNormalization", x, np.ones(4), np.zeros(4)),
        r"InstanceNormalization_0 .*: what it multiplies by depends on the image; train with BatchNormalization",
    ),
    "dense layer on a map": (
        lambda graph, x: graph.node("MatMul", x, graph.integer_weights(4, 6)),
        "MatMul_0 .*: it multiplies the last of 4 axes; use Conv with a kernel of 1",
    ),
    "five axes": (
        lambda graph, x: graph.node("Reshape", x, graph.constant([1, 2, 2, 4, 4], np.int64)),
        "Reshape_0 .*: it makes 5 axes of 4; leave maps as they are",
    ),
    "tokens": (
        lambda graph, x: graph.node("Reshape", x, graph.constant([1, 4, 16], np.int64)),
        "Reshape_0 .*: it makes 3 axes of 4",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_hardware_does_is_refused_by_name(name):
    write, message = REFUSED[name]
    graph = QonnxGraph()
    model = graph.model(write(graph, graph.integers()))
    with pytest.raises(NodeRefused, match=message):
        model.transform(RefuseUnmapped()).transform(RefuseReshapes())
