import numpy as np
import pytest

from flow.execute import execute_graph
from flow.passes import InferPools

from .graphs import LAST_PLACE, QonnxGraph, applied, assert_refused, kinds, node_types, only, random_images


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
    op = only(model, "GlobalPool").op
    assert (op.height, op.width) == size
    assert (op.scaled, op.shift, op.out_bits) == (0, np.log2(size[0] * size[1]), 5)


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize("size", [(7, 7), (2, 3)])
def test_the_sum_of_any_number_of_pixels_leaves_a_global_pool(signs, size):
    """On a grid that is as many times as fine."""
    graph, pixels = QonnxGraph(height=size[0], width=size[1]), size[0] * size[1]
    pooled = graph.node("GlobalAveragePool", graph.signs(0.25) if signs else graph.integers())
    model = graph.model(graph.quant(pooled, scale=np.float32(0.25 / pixels), bits=12))
    model = applied(model, InferPools, tolerance=LAST_PLACE)
    op = only(model, "GlobalPool").op
    assert kinds(model) == ["GlobalPool"] and (op.scaled, op.shift, op.out_bits) == (0, 0, 12)


@pytest.mark.parametrize(
    "quantizer",
    [{}, {"rounding": "ROUND"}, {"scale": 0.125}, {"bits": 6}, {"scale": 0.3, "bits": 4}, {"scale": 0.07, "bits": 6}],
)
@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize(
    ("size", "pool"),
    [
        ((8, 8), {"kernel": (4, 4), "strides": (4, 4)}),
        ((8, 6), {"strides": (1, 1)}),
        ((8, 8), {"kernel": (2, 1), "strides": (2, 1)}),
        ((8, 8), {"kernel": (3, 3), "pads": [1, 1, 1, 1], "count_include_pad": 1}),
        ((5, 8), {}),
        ((6, 6), {"kernel": (6, 6)}),
        ((4, 4), {"kernel": (4, 4), "strides": (1, 1), "pads": [1, 1, 1, 1], "count_include_pad": 1}),
        ((5, 8), {"kernel": (3, 3), "pads": [1, 1, 1, 1]}),
        ((6, 7), {"pads": [0, 0, 1, 1]}),
        ((4, 4), {"kernel": (5, 3), "strides": (1, 1), "pads": [2, 1, 2, 1]}),
    ],
)
def test_any_window_and_any_quantizer(size, pool, normed, quantizer):
    graph = QonnxGraph(height=size[0], width=size[1])
    x = average(graph, graph.integers(), **pool)
    x = graph.batch_norm(x, [0.5, 1.25, -0.75, 2.0], [0.1, 0.0, 0.2, -0.3]) if normed else x
    model = graph.model(floored(graph, x, **quantizer))
    exact = np.log2(np.prod(pool.get("kernel", (2, 2)))) % 1 == 0 and not normed  # float32's means are
    tolerance = LAST_PLACE if exact else 1.001 * quantizer.get("scale", 0.25)
    model = applied(model, InferPools, tolerance=tolerance)
    assert {"ReduceWindow", "GlobalPool"} & set(kinds(model))


@pytest.mark.parametrize("pad", [0, 1])
@pytest.mark.parametrize("kernel", [2, 3])
def test_a_pool_into_signs(kernel, pad):
    graph = QonnxGraph(height=6)
    x = average(graph, graph.integers(), (kernel, kernel), pads=[pad] * 4)
    model = applied(graph.model(graph.bipolar(graph.batch_norm(x, [0.5, -1.0, 2.0, 1.0], 0.3))), InferPools)
    assert kinds(model) == ["SlidingWindow", "ReduceWindow", "SignThreshold"]


@pytest.mark.parametrize("kernel", [2, 4])
def test_halves_go_to_the_even_neighbour(kernel):
    """As ROUND does: of 16 pixels each sixteenth mean is halfway."""
    graph = QonnxGraph(height=8)
    x = average(graph, graph.integers(), (kernel, kernel), (2, 2))
    model = applied(graph.model(graph.quant(x)), InferPools)
    op = only(model, "ReduceWindow").op
    assert (op.even, op.shift) == (1, np.log2(kernel**2))


def test_a_pad_in_front_is_taken_along():
    graph = QonnxGraph(height=6)
    x = average(graph, graph.pad(graph.integers(), -0.5), (4, 4), (1, 1))
    model = applied(graph.model(floored(graph, x)), InferPools)
    window = only(model, "SlidingWindow").op
    assert "Pad" not in node_types(model) and (window.padding, window.pad_value) == ((1, 1, 1, 1), -2)


def test_a_padded_mean_of_signs_is_masked():
    graph = QonnxGraph(height=6)
    x = average(graph, graph.signs(), (4, 4), (2, 2), pads=[1, 1, 1, 1], count_include_pad=1)
    model = applied(graph.model(floored(graph, x)), InferPools)
    assert only(model, "ReduceWindow").op.masked == 1


def test_a_real_input_is_refused():
    graph = QonnxGraph()
    model = graph.model(floored(graph, average(graph, graph.node("Sigmoid", graph.integers()))))
    assert_refused(model, InferPools, r"AveragePool_0 \(AveragePool, 1x4x2x2\): its input is not quantized")


def test_an_output_with_two_readers_is_refused():
    graph = QonnxGraph()
    pooled = graph.node("GlobalAveragePool", graph.integers())
    model = graph.model(graph.node("Add", floored(graph, pooled), floored(graph, pooled)))
    assert_refused(model, InferPools, r"GlobalAveragePool_0 .*its output does not run through constants into one quant")


@pytest.mark.parametrize(("kernel", "pads", "common"), [((3, 3), [1, 1, 1, 1], 36), ((2, 4), [0, 1, 1, 2], 24)])
@pytest.mark.parametrize("signs", [False, True])
def test_means_over_fewer_pixels_at_the_border(signs, kernel, pads, common):
    """Sums of all of them are on one grid, the one of the mean over the least common multiple of pixels."""
    graph = QonnxGraph(height=7, width=6)
    pooled = average(graph, graph.signs(0.25) if signs else graph.integers(), kernel, pads=pads)
    model = graph.model(graph.quant(pooled, scale=np.float32(0.25 / common), bits=12))
    model = applied(model, InferPools, tolerance=LAST_PLACE)
    node = only(model, "ReduceWindow")
    assert (node.op.positions, node.op.scaled, node.op.shift, node.op.masked) == (4, 1, 0, int(signs))
    assert only(model, "SlidingWindow").op.padding == tuple(pads)
    _, multiplier, rows, columns = node.constants
    assert (multiplier == 1).all() and (len(rows), len(columns)) == only(model, "SlidingWindow").op.out_size


def test_padding_off_the_grid_is_refused():
    graph = QonnxGraph(height=6)
    x = average(graph, graph.pad(graph.integers(), 0.1), (3, 3), (1, 1))
    assert_refused(graph.model(floored(graph, x)), InferPools, r"AveragePool_0 .*padding with 0.1; pad with 0 or")
