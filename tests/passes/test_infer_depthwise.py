import numpy as np
import pytest

from flow.passes import InferDepthwise, InferIntConv, InferXnorPopcount

from .graphs import LAST_PLACE, QonnxGraph, applied, assert_refused, kinds, only


def depthwise(graph, x, kernel=(3, 3), per_channel=1, binary=False, bias=(), scale=0.125, **attributes):
    """A convolution of the four channels of ``x``, one by one."""
    shape = 4 * per_channel, 1, *kernel
    weights = graph.binary_weights(*shape, scale=scale) if binary else graph.integer_weights(*shape, scale=scale)
    return graph.conv(x, weights, *bias, group=4, **attributes)


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(
    ("kernel", "per_channel", "attributes"),
    [
        ((3, 3), 1, {"pads": [1, 1, 1, 1]}),
        ((3, 3), 1, {"strides": [2, 2]}),
        ((2, 3), 2, {"pads": [0, 1, 1, 0], "strides": [1, 2]}),
        ((3, 2), 1, {"dilations": [2, 3]}),
        ((1, 1), 3, {}),
    ],
)
def test_integers_and_signs(signs, binary, kernel, per_channel, attributes):
    graph = QonnxGraph(height=8, width=7)
    x = depthwise(graph, graph.signs(0.5) if signs else graph.integers(), kernel, per_channel, binary, **attributes)
    model = applied(graph.model(graph.quant(x, 0.25, 6, rounding="FLOOR")), InferDepthwise)
    assert kinds(model) == ["SlidingWindow", "ReduceWindow"]
    op = only(model, "ReduceWindow").op
    assert (op.bits, op.taps, op.features) == (1 if signs else 5, np.prod(kernel), 4 * per_channel)
    assert op.weight_bits == 1 if binary else op.weight_bits <= 4
    assert op.masked == (signs and "pads" in attributes)


@pytest.mark.parametrize("signs", [False, True])
def test_a_scale_a_channel_and_a_norm(signs):
    graph = QonnxGraph(height=6)
    scale = np.float32([0.1, 0.2, 0.15, 0.3]).reshape(4, 1, 1, 1)
    x = depthwise(graph, graph.signs() if signs else graph.integers(), scale=scale, bias=[[0.1, 0.0, -0.2, 0.3]])
    x = graph.quant(graph.batch_norm(x, [0.5, 1.5, -1.0, 1.0], [0.3, 0.1, 0.0, -0.2]), 0.3, 4)
    model = applied(graph.model(x), InferDepthwise, tolerance=0.3 + LAST_PLACE)
    assert kinds(model) == ["SlidingWindow", "ReduceWindow", "MultiThreshold"]  # halves to even are on no line


@pytest.mark.parametrize("signs", [False, True])
def test_into_signs(signs):
    graph = QonnxGraph(height=6)
    x = depthwise(graph, graph.signs() if signs else graph.integers(), pads=[1, 1, 1, 1])
    model = applied(graph.model(graph.bipolar(graph.batch_norm(x, [0.5, 1.5, -1.0, 1.0], 0.1))), InferDepthwise)
    assert kinds(model) == ["SlidingWindow", "ReduceWindow", "SignThreshold"]


def test_a_pad_in_front_is_taken_along():
    graph = QonnxGraph(height=6)
    x = depthwise(graph, graph.pad(graph.integers(), -0.75))
    model = applied(graph.model(graph.quant(x, 0.25, 6, rounding="FLOOR")), InferDepthwise)
    assert only(model, "SlidingWindow").op.pad_value == -3


def test_the_other_passes_leave_it():
    graph = QonnxGraph(height=6)
    x = graph.bipolar(depthwise(graph, graph.signs(), binary=True))
    assert kinds(applied(graph.model(x), InferXnorPopcount, InferIntConv)) == []


def test_padding_off_the_grid_is_refused():
    graph = QonnxGraph(height=6)
    x = graph.quant(depthwise(graph, graph.pad(graph.integers(), 0.1)), 0.25, 6)
    assert_refused(
        graph.model(x), InferDepthwise, r"Conv_0 .*padding with 0.1; pad with 0 or with a value of the input"
    )
