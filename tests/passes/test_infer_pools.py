import numpy as np
import pytest

from flow.execute import execute_graph
from flow.passes import InferPools

from .graphs import QonnxGraph, applied, assert_refused, kinds, node_types, only, random_images


def average(graph, x, kernel=(2, 2), strides=(2, 2), **attributes):
    return graph.node("AveragePool", x, kernel_shape=kernel, strides=strides, **attributes)


def floored(graph, x, **quantizer):
    return graph.quant(x, **{"rounding": "FLOOR", **quantizer})


@pytest.mark.parametrize("signed", [1, 0])
def test_a_pool_of_2x2_is_avg_pool(signed):
    graph = QonnxGraph(height=4, width=6)
    model = graph.model(floored(graph, average(graph, graph.integers(signed=signed)), signed=signed))
    model = applied(model, InferPools)
    assert node_types(model)[-3:] == ["ToStream", "AvgPool", "FromStream"]
    node = only(model, "AvgPool")
    assert (node.op.height, node.op.width, node.op.channels) == (4, 6, 4)
    assert node.op.bits == (5 if signed else 6)


def test_the_mean_is_truncated():
    """Some mean lies between two values of the grid, above and below zero."""
    graph = QonnxGraph(height=4)
    model = graph.model(floored(graph, average(graph, graph.integers())))
    exact = execute_graph(graph.model(average(graph, "Quant_0_out")), random_images(model))
    truncated = execute_graph(applied(model, InferPools), random_images(model))
    assert ((truncated < exact) & (exact < 0)).any() and ((truncated < exact) & (exact > 0)).any()
    np.testing.assert_array_equal(truncated, np.floor(exact / 0.25) * 0.25)


@pytest.mark.parametrize("kind", ["GlobalAveragePool", "AveragePool"])
@pytest.mark.parametrize("size", [(2, 2), (4, 4), (2, 8), (1, 1)])
def test_a_pool_over_the_map_is_global_pool(kind, size):
    graph = QonnxGraph(height=size[0], width=size[1])
    x = graph.integers()
    x = average(graph, x, kernel=size, strides=(1, 1)) if kind == "AveragePool" else graph.node(kind, x)
    model = applied(graph.model(floored(graph, x)), InferPools)
    assert kinds(model) == ["GlobalPool"]
    assert (only(model, "GlobalPool").op.height, only(model, "GlobalPool").op.width) == size


def test_a_real_input_is_refused():
    graph = QonnxGraph()
    model = graph.model(floored(graph, average(graph, graph.node("Sigmoid", graph.integers()))))
    assert_refused(
        model, InferPools, r"AveragePool_0 \(AveragePool, 1x4x2x2\): its input or its output is not quantized"
    )


def test_a_real_output_is_refused():
    graph = QonnxGraph()
    model = graph.model(graph.node("Sigmoid", average(graph, graph.integers())))
    assert_refused(model, InferPools, r"AveragePool_0 .*its input or its output is not quantized")


def test_an_output_with_two_readers_is_refused():
    graph = QonnxGraph()
    pooled = graph.node("GlobalAveragePool", graph.integers())
    model = graph.model(graph.node("Add", floored(graph, pooled), floored(graph, pooled)))
    assert_refused(model, InferPools, r"GlobalAveragePool_0 .*its input or its output is not quantized")


@pytest.mark.parametrize("quantizer", [{"rounding": "ROUND"}, {"scale": 0.125}, {"bits": 6}, {"narrow": 1}])
def test_another_quantizer_is_refused(quantizer):
    graph = QonnxGraph()
    model = graph.model(floored(graph, average(graph, graph.integers()), **quantizer))
    match = (
        r"Quant_1 \(Quant, 1x4x2x2\): a pool must keep its input's scale and width and truncate \(rounding_mode FLOOR\)"
    )
    assert_refused(model, InferPools, match)


@pytest.mark.parametrize("size", [(3, 3), (2, 3), (6, 6)])
def test_a_mean_that_is_no_shift_is_refused(size):
    graph = QonnxGraph(height=size[0], width=size[1])
    model = graph.model(floored(graph, graph.node("GlobalAveragePool", graph.integers())))
    match = rf"GlobalAveragePool_0 .*{size[0]}x{size[1]} pixels: the mean is a shift only over a power of two"
    assert_refused(model, InferPools, match)


@pytest.mark.parametrize(
    ("size", "pool"),
    [
        ((8, 8), {"kernel": (4, 4), "strides": (4, 4)}),
        ((8, 8), {"strides": (1, 1)}),
        ((8, 8), {"kernel": (2, 1), "strides": (2, 1)}),
        ((8, 8), {"pads": [1, 1, 1, 1]}),
        ((5, 8), {}),
        ((8, 5), {}),
    ],
)
def test_another_pool_is_refused(size, pool):
    graph = QonnxGraph(height=size[0], width=size[1])
    model = graph.model(floored(graph, average(graph, graph.integers(), **pool)))
    kernel = list(pool.get("kernel", (2, 2)))
    match = rf"AveragePool_0 .*kernel \[{kernel[0]}, {kernel[1]}\] on {size[0]}x{size[1]}: only 2x2 of stride 2 on even"
    assert_refused(model, InferPools, match)


@pytest.mark.xfail(strict=True, reason="a kernel as large as the map is taken for one window, whatever its pads")
def test_a_padded_pool_of_the_size_of_the_map():
    graph = QonnxGraph()
    x = average(graph, graph.integers(), kernel=(4, 4), strides=(1, 1), pads=[1, 1, 1, 1])
    applied(graph.model(floored(graph, x)), InferPools)
