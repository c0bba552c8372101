import pytest

from flow.passes import InferMaxPool

from .graphs import QonnxGraph, applied, assert_refused, node_types, only


def max_pool(graph, x, kernel=(2, 2), strides=(2, 2), **attributes):
    return graph.node("MaxPool", x, kernel_shape=kernel, strides=strides, **attributes)


@pytest.mark.parametrize("size", [(2, 2), (4, 6)])
def test_integers(size):
    graph = QonnxGraph(height=size[0], width=size[1])
    model = applied(graph.model(max_pool(graph, graph.integers())), InferMaxPool)
    assert node_types(model)[-3:] == ["ToStream", "MaxPool", "FromStream"]
    node = only(model, "MaxPool")
    assert (node.op.height, node.op.width, node.op.channels, node.op.bits) == (*size, 4, 5)


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_signs_have_one_bit(scale):
    graph = QonnxGraph(height=8)
    model = applied(graph.model(max_pool(graph, graph.signs(scale))), InferMaxPool)
    assert only(model, "MaxPool").op.bits == 1


def test_a_pool_behind_a_pool():
    graph = QonnxGraph(channels=8, height=8)
    model = applied(graph.model(max_pool(graph, max_pool(graph, graph.integers()))), InferMaxPool)
    assert node_types(model)[-6:] == ["ToStream", "MaxPool", "FromStream"] * 2


def test_a_real_input_is_refused():
    graph = QonnxGraph()
    model = graph.model(max_pool(graph, graph.node("Sigmoid", graph.integers())))
    assert_refused(model, InferMaxPool, r"MaxPool_0 \(MaxPool, 1x4x2x2\): its input is not quantized")


@pytest.mark.parametrize(
    ("size", "pool"),
    [
        ((8, 8), {"kernel": (3, 3)}),
        ((8, 8), {"strides": (1, 1)}),
        ((8, 8), {"kernel": (2, 1), "strides": (2, 1)}),
        ((8, 8), {"pads": [1, 1, 1, 1]}),
        ((8, 7), {"kernel": (3, 3), "pads": [1, 0, 0, 1]}),
        ((5, 8), {}),
        ((8, 5), {}),
        ((9, 8), {"dilations": [2, 3]}),
        ((4, 4), {"kernel": (4, 4)}),
    ],
)
@pytest.mark.parametrize("signs", [False, True])
def test_any_window(size, pool, signs):
    graph = QonnxGraph(height=size[0], width=size[1])
    x = graph.bipolar(graph.node("Sub", "image", 240.0), 0.5) if signs else graph.integers()
    model = applied(graph.model(max_pool(graph, x, **pool)), InferMaxPool)
    window, op = only(model, "SlidingWindow").op, only(model, "ReduceWindow").op
    least = -1 if signs else -16
    assert (window.order, window.pad_value, op.reduction, op.bits) == ("block", least, "max", 1 if signs else 5)


@pytest.mark.parametrize("value", [-4.0, 0.0, 1.25])
def test_a_pad_in_front_is_taken_along(value):
    graph = QonnxGraph(height=6)
    model = applied(graph.model(max_pool(graph, graph.pad(graph.integers(), value), (3, 3))), InferMaxPool)
    assert "Pad" not in node_types(model) and only(model, "SlidingWindow").op.pad_value == round(value / 0.25)


@pytest.mark.parametrize(("signs", "value"), [(True, 0.0), (False, 0.1), (False, 4.0)])
def test_a_pad_off_the_grid_is_named(signs, value):
    graph = QonnxGraph(height=6)
    x = max_pool(graph, graph.pad(graph.signs() if signs else graph.integers(), value), (3, 3))
    assert_refused(graph.model(x), InferMaxPool, rf"MaxPool_0 .*it reads a map padded with {value:g}; pad in the pool")


def test_a_pad_in_front_of_a_padded_pool_is_named():
    graph = QonnxGraph(height=6)
    x = max_pool(graph, graph.pad(graph.integers()), (3, 3), pads=[1, 1, 1, 1])
    assert_refused(graph.model(x), InferMaxPool, r"MaxPool_0 .*it reads a map that Pad_0 \(Pad\) padded; pad in")
