"""Convolutions read from a graph: what a Convolution says is compared with what the layer computes."""

import numpy as np
import pytest

from flow.custom_op import DOMAIN
from flow.execute import Execution
from flow.nodes.windows import Windows
from flow.passes import InferIntConv, InferXnorPopcount
from flow.passes.grid import Grid
from flow.passes.window import constant_value, convolution_of

from .graphs import QonnxGraph, applied, assert_refused, only

ONE_TAP = {"kernel": (1, 1), "stride": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1)}


def layer_of(model):
    return next(node for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul", "GroupVote"))


def described(graph, output):
    """The Convolution of the graph's layer, after a comparison of its sums (times the step) with the layer's output."""
    model = graph.model(output)
    node = layer_of(model)
    conv = convolution_of(model, node)
    values = np.random.default_rng(3).integers(0, 256, (5, graph.channels, graph.height, graph.width))
    tensors = Execution(model).run({"image": values.astype(np.float32)}, keep=True)
    maps = tensors[conv.input].transpose(0, 2, 3, 1) if tensors[conv.input].ndim == 4 else tensors[conv.input]
    if conv.flat or maps.ndim == 2:
        maps = maps.reshape(len(maps), 1, 1, -1)
    rows = Windows(maps / conv.grid.scale, pad_value=conv.pad_value / conv.grid.scale, **conv.window).elements()
    sums = rows @ conv.weights.rows().T * conv.step + (0 if conv.bias is None else conv.bias)
    layer = tensors[node.output[0]]
    layer = layer[:, None, None] if layer.ndim == 2 else layer.transpose(0, 2, 3, 1)
    np.testing.assert_allclose(sums, layer, atol=1e-4)
    assert [each.name for each in conv.nodes][-1] == node.name
    return conv


@pytest.mark.parametrize(
    ("attributes", "window"),
    [
        ({}, {}),
        ({"pads": [1, 1, 1, 1]}, {"padding": (1, 1, 1, 1)}),
        ({"pads": [2, 2, 2, 2], "strides": [2, 2]}, {"padding": (2, 2, 2, 2), "stride": (2, 2)}),
        ({"kernel_shape": [3, 3], "dilations": [1, 1], "group": 1}, {}),
        ({"kernel": (2, 3), "strides": [1, 2]}, {"kernel": (2, 3), "stride": (1, 2)}),
        ({"kernel": (1, 4), "pads": [0, 3, 0, 1]}, {"kernel": (1, 4), "padding": (0, 3, 0, 1)}),
        ({"dilations": [2, 1], "pads": [4, 0, 1, 2]}, {"dilation": (2, 1), "padding": (4, 0, 1, 2)}),
    ],
)
def test_a_convolution(attributes, window):
    graph, attributes = QonnxGraph(height=6), dict(attributes)
    weights = graph.integer_weights(5, 4, *attributes.pop("kernel", (3, 3)))
    conv = described(graph, graph.conv(graph.integers(), weights, **attributes))
    assert conv.window == {**ONE_TAP, "kernel": (3, 3), **window}
    assert conv.grid == Grid(0.25, -16, 15)
    assert (conv.weights.bits, conv.weights.bipolar, conv.bias, conv.voter) == (4, False, None, {})
    assert conv.padded == ("padding" in window) and conv.pad_value == 0


@pytest.mark.parametrize("value", [-0.5, 0.0, 0.5])
def test_an_explicit_pad_belongs_to_it(value):
    graph = QonnxGraph()
    conv = described(graph, graph.binary_conv(graph.signs(0.5), pad=value))
    assert [node.op_type for node in conv.nodes] == ["Pad", "Conv"]
    assert (conv.window["padding"], conv.pad_value) == ((1, 1, 1, 1), value)


def test_a_pad_without_a_value_pads_with_zero():
    graph = QonnxGraph()
    padded = graph.node("Pad", graph.integers(), graph.constant([0, 0, 2, 2, 0, 0, 2, 2], np.int64))
    conv = described(graph, graph.conv(padded, graph.integer_weights(4, 4, 3, 3)))
    assert (conv.window["padding"], conv.pad_value) == ((2, 2, 2, 2), 0.0)


@pytest.mark.parametrize("scale", [0.5, np.float32([0.5, 0.25, 1.0, 2.0, 3.0]).reshape(5, 1, 1, 1)])
@pytest.mark.parametrize("binary", [False, True])
def test_scales_of_weights(scale, binary):
    graph = QonnxGraph()
    weights = (graph.binary_weights if binary else graph.integer_weights)(5, 4, 3, 3, scale=scale)
    conv = described(graph, graph.conv(graph.integers(), weights, np.arange(5.0)))
    np.testing.assert_array_equal(conv.weights.scale, np.broadcast_to(np.ravel(scale), 5))
    np.testing.assert_array_equal(conv.step, 0.25 * conv.weights.scale)
    np.testing.assert_array_equal(conv.bias, np.arange(5))
    assert conv.weights.bipolar == binary and conv.weights.bits == (1 if binary else 4)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("kind", ["Gemm", "MatMul"])
@pytest.mark.parametrize("scales", [False, True])
def test_dense_layers(kind, transposed, scales):
    """Over the map in front of the Flatten; weights [O, C] or [C, O], with a scale for each output."""
    graph = QonnxGraph(channels=3)
    scale = np.float32([0.5, 0.25, 1.0, 2.0, 3.0]) if scales else 0.5
    if transposed:
        weights = graph.integer_weights(5, 48, scale=np.reshape(scale, (-1, 1)))
    else:
        weights = graph.integer_weights(48, 5, scale=np.reshape(scale, (1, -1)))
    attributes = {"transB": 1} if kind == "Gemm" and transposed else {}
    if kind == "MatMul" and transposed:
        weights = graph.node("Transpose", weights, perm=[1, 0])
    conv = described(graph, graph.node(kind, graph.node("Flatten", graph.integers()), weights, **attributes))
    assert [node.op_type for node in conv.nodes] == ["Flatten", kind]
    assert conv.window == ONE_TAP and conv.flat
    assert conv.weights.integers.shape == (5, 48, 1, 1)


def test_a_gemm_with_a_transposed_weight_and_transb():
    graph = QonnxGraph()
    weights = graph.node("Transpose", graph.integer_weights(64, 5), perm=[1, 0])
    described(graph, graph.node("Gemm", graph.node("Flatten", graph.integers()), weights, transB=1))


def test_a_dense_layer_behind_rows_is_one_pixel():
    graph = QonnxGraph()
    row = graph.bipolar(graph.batch_norm(graph.node("Flatten", graph.integers()), np.ones(64)))
    conv = described(graph, graph.node("Gemm", row, graph.binary_weights(5, 64), transB=1))
    assert [node.op_type for node in conv.nodes] == ["Gemm"]
    assert conv.window == ONE_TAP and not conv.flat


def test_a_reshape_is_a_flatten():
    graph = QonnxGraph()
    row = graph.node("Reshape", graph.integers(), graph.constant([-1, 64], np.int64))
    conv = described(graph, graph.node("Gemm", row, graph.integer_weights(64, 5)))
    assert [node.op_type for node in conv.nodes] == ["Reshape", "Gemm"]


def test_a_grouped_vote():
    graph = QonnxGraph()
    voter = {"group": 9, "order": "row", "group_threshold": 1, "threshold": -1}
    x = graph.pad(graph.signs(), -1.0)
    x = graph.node("GroupVote", x, graph.binary_weights(5, 4, 3, 3), domain=DOMAIN, stride=2, **voter)
    model = graph.model(x)
    conv = convolution_of(model, layer_of(model))
    assert conv.voter == voter
    assert conv.window == {**ONE_TAP, "kernel": (3, 3), "stride": (2, 2), "padding": (1, 1, 1, 1)}
    assert conv.pad_value == -1


@pytest.mark.parametrize("order", ["tap", "row", "channel"])
def test_orders_of_the_elements(order):
    """The last axis fastest: row, column, channel; row, channel, column; channel, row, column."""
    graph = QonnxGraph(channels=2)
    integers = np.arange(-18, 18).reshape(2, 2, 3, 3)
    weights = graph.quant(integers, 1.0, 8)
    model = graph.model(graph.conv(graph.integers(), weights))
    rows = convolution_of(model, layer_of(model)).weights.rows(order)
    axes = {"tap": (0, 2, 3, 1), "row": (0, 2, 1, 3), "channel": (0, 1, 2, 3)}[order]
    np.testing.assert_array_equal(rows, integers.transpose(axes).reshape(2, -1))


def test_what_is_no_quantized_layer():
    graph = QonnxGraph()
    real = graph.node("Sigmoid", graph.integers())
    model = graph.model(graph.conv(real, graph.integer_weights(4, 4, 1, 1)))
    assert convolution_of(model, layer_of(model)) is None
    assert convolution_of(model, model.graph.node[0]) is None
    graph = QonnxGraph()
    model = graph.model(graph.conv(graph.integers(), graph.rng.normal(size=(4, 4, 1, 1))))
    assert convolution_of(model, layer_of(model)) is None


def test_constants_and_what_quantizers_make_of_them():
    graph = QonnxGraph()
    weights = graph.quant(np.float32([[0.3, 5.0], [-0.1, -9.0]]), 0.25, 3)
    x = graph.node("MatMul", graph.node("Flatten", "image"), graph.node("Transpose", weights, perm=[1, 0]))
    graph.channels, graph.height, graph.width = 2, 1, 1
    model = graph.model(x)
    np.testing.assert_array_equal(constant_value(model, weights), [[0.25, 0.75], [0.0, -1.0]])
    assert constant_value(model, "image") is None and constant_value(model, x) is None
    name = next(iter(graph.constants))
    np.testing.assert_array_equal(constant_value(model, name), graph.constants[name])


# refusals


@pytest.mark.parametrize(
    ("pad", "layer", "match"),
    [
        ({}, {"pads": [1, 1, 1, 1]}, r"Conv_0 \(Conv, .*a padded convolution behind an explicit Pad"),
        (
            None,
            {"pads": [1, 0, 1, 3]},
            r"Conv_0 .*pads \[1, 0, 1, 3\] hold whole windows of \[3, 3\]; pad less than a window on each side",
        ),
        (
            {"pads": (0, 1, 1, 1, 0, 1, 1, 1)},
            {"channels": 6},
            r"Pad_0 \(Pad, .*only constant padding of height and width is mapped",
        ),
        (
            {"pads": (0, 1, 1, 1, 0, 0, 1, 1)},
            {"channels": 5},
            r"Pad_0 \(Pad, .*only constant padding of height and width is mapped",
        ),
        ({"mode": "reflect"}, {}, r"Pad_0 .*only constant padding of height and width is mapped"),
    ],
)
@pytest.mark.parametrize("integers", [False, True])
def test_another_convolution_is_refused(pad, layer, match, integers):
    """By the pass for the type of the input."""
    graph = QonnxGraph(height=8)
    x = graph.integers() if integers else graph.signs()
    x = x if pad is None else graph.pad(x, **pad)
    layer = dict(layer)
    shape = 4, layer.pop("channels", 4), *layer.pop("kernel", (3, 3))
    weights = graph.integer_weights(*shape) if integers else graph.binary_weights(*shape)
    model = graph.model(graph.quant(graph.conv(x, weights, **layer)))
    assert_refused(model, InferIntConv if integers else InferXnorPopcount, match)


def test_weights_of_other_scales_are_refused():
    graph = QonnxGraph()
    scales = graph.rng.uniform(0.1, 1, (1, 1, 3, 3)).astype(np.float32)
    model = graph.model(graph.quant(graph.conv(graph.integers(), graph.integer_weights(4, 4, 3, 3, scale=scales))))
    match = r"Conv_0 .*its weights have scales of shape \[1, 1, 3, 3\]; quantize weights with one scale a tensor or an "
    match += "output channel"
    assert_refused(model, InferIntConv, match)


def test_weights_with_a_zero_point_are_refused():
    graph = QonnxGraph()
    weights = graph.integer_weights(4, 4, 3, 3, zero=1.0)
    model = graph.model(graph.quant(graph.conv(graph.integers(), weights)))
    match = r"Conv_0 .*its weights have a zero point; quantize weights symmetrically"
    assert_refused(model, InferIntConv, match)


@pytest.mark.parametrize(("height", "width"), [(2, 4), (4, 2)])
def test_a_map_is_one_pixel_of_a_dense_layer(height, width):
    graph = QonnxGraph(height=height, width=width)
    x = graph.node("Gemm", graph.node("Flatten", graph.signs()), graph.binary_weights(5, 32), transB=1)
    window = only(applied(graph.model(x), InferXnorPopcount), "SlidingWindow").op
    assert (window.height, window.width, window.channels, window.kernel) == (1, 1, 32, (1, 1))


def test_a_row_with_two_readers():
    graph = QonnxGraph()
    row = graph.node("Flatten", graph.integers())
    layers = [graph.quant(graph.node("Gemm", row, graph.integer_weights(5, 64), transB=1)) for _ in range(2)]
    model = applied(graph.model(graph.node("Add", *layers)), InferIntConv)
    kinds = [node.op_type for node in model.graph.node]
    assert [kinds.count(kind) for kind in ("IntConv", "Flatten", "Gemm")] == [2, 0, 0]


def test_a_refused_layer_changes_nothing():
    graph = QonnxGraph(height=8)
    model = graph.model(graph.quant(graph.binary_conv(graph.signs(), pad=None, pads=[0, 3, 0, 0])))
    applied(model, InferXnorPopcount, InferIntConv)
