import pytest

from flow.passes import InferMaxPool, PassError, to_integers

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
        ((5, 8), {}),
        ((8, 5), {}),
    ],
)
def test_another_pool_is_refused(size, pool):
    graph = QonnxGraph(height=size[0], width=size[1])
    model = graph.model(max_pool(graph, graph.integers(), **pool))
    kernel = list(pool.get("kernel", (2, 2)))
    match = rf"MaxPool_0 .*'kernel_shape': \[{kernel[0]}, {kernel[1]}\].* on {size[0]}x{size[1]}: only 2x2 of stride 2"
    assert_refused(model, InferMaxPool, match)


@pytest.mark.xfail(strict=True, reason="dilations are not read")
def test_a_dilated_pool():
    graph = QonnxGraph(height=8)
    applied(graph.model(max_pool(graph, graph.integers(), dilations=[2, 2])), InferMaxPool)


@pytest.mark.xfail(
    strict=True, reason="grid_of looks through a Pad, which then stays; RequireIntegers lists no node at all"
)
def test_a_pad_in_the_way_is_named():
    graph = QonnxGraph(height=6)
    x = max_pool(graph, graph.pad(graph.integers()))
    model = graph.model(graph.conv(x, graph.integer_weights(3, 4, 4, 4)))
    with pytest.raises(PassError, match="Pad_0"):
        to_integers(model)


def test_a_pad_in_the_way_is_no_silent_error():
    """It stands between two streams, so the graph is refused, if without a reason."""
    graph = QonnxGraph(height=6)
    x = max_pool(graph, graph.pad(graph.integers()))
    with pytest.raises(PassError, match="no integer form"):
        to_integers(graph.model(graph.conv(x, graph.integer_weights(3, 4, 4, 4))))
