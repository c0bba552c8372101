import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qonnx.core.modelwrapper import ModelWrapper

from flow.custom_op import DOMAIN
from flow.execute import execute_graph
from flow.passes import InferPixelOffset, InferSignThreshold, run_pass
from flow.passes.grid import Grid, grid_of

from .graphs import QonnxGraph, random_images


def grid(graph, output) -> Grid | None:
    return grid_of(graph.model(output), output)


@given(st.integers(-300, 300), st.integers(0, 300))
def test_bits_hold_the_integers_and_one_less_does_not(low, width):
    """Every grid of a quantizer reaches 0 or more."""
    grid = Grid(1.0, low, max(low, 0) + width)
    assert grid.integers.tolist() == list(range(low, max(low, 0) + width + 1))

    def fits(bits):
        return -(1 << (bits - 1)) <= grid.low and grid.high < 1 << (bits - 1)

    assert fits(grid.bits)
    assert grid.bits == 1 or not fits(grid.bits - 1)


def test_signs_have_one_bit():
    grid = Grid(0.5, -1, 1, bipolar=True)
    assert grid.bits == 1 and grid.integers.tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("scale", "fraction"), [(1.0, 0), (0.5, 1), (2.0**-7, 7), (4.0, -2), (0.3, None), (3.0, None), (0.75, None)]
)
def test_the_fraction_of_a_power_of_two(scale, fraction):
    assert Grid(scale, -8, 7).fraction == fraction


@pytest.mark.parametrize(
    ("quantizer", "low", "high"),
    [
        ({}, -16, 15),
        ({"narrow": 1}, -15, 15),
        ({"signed": 0}, 0, 31),
        ({"signed": 0, "narrow": 1}, 0, 30),
        ({"bits": 2}, -2, 1),
        ({"bits": 8, "signed": 0}, 0, 255),
    ],
)
def test_a_quantizer_has_the_grid_that_its_values_fill(quantizer, low, high):
    graph = QonnxGraph(channels=1, height=16)
    x = graph.quant(graph.node("Mul", graph.node("Sub", "image", 127.5), 2.0), 0.25, **{"bits": 5, **quantizer})
    model = graph.model(x)
    assert grid_of(model, x) == Grid(0.25, low, high)
    values = execute_graph(model, random_images(model, 8))
    assert (values.min(), values.max()) == (0.25 * low, 0.25 * high)


def test_signs_have_the_scale_of_their_quantizer():
    graph = QonnxGraph()
    assert grid(graph, graph.signs(0.5)) == Grid(0.5, -1, 1, bipolar=True)


@pytest.mark.parametrize("quantizer", [{"scale": [0.25, 0.5, 0.25, 0.5]}, {"zero": 1.0}, {"bits": [4, 5, 4, 5]}])
def test_channels_of_their_own_and_zero_points_have_none(quantizer):
    graph = QonnxGraph()
    shaped = {name: np.reshape(value, (1, -1, 1, 1)) for name, value in quantizer.items()}
    assert grid(graph, graph.quant("image", **shaped)) is None


def test_signs_of_several_scales_have_none():
    graph = QonnxGraph()
    assert grid(graph, graph.signs(np.ones((1, 4, 1, 1)))) is None


@pytest.mark.parametrize("value, known", [(-0.25, True), (0.25, True), (0.0, False), (0.5, False)])
def test_a_pad_of_signs_is_one_of_them(value, known):
    graph = QonnxGraph()
    assert (grid(graph, graph.pad(graph.signs(0.25), value)) is not None) == known


@pytest.mark.parametrize("value, known", [(0.0, True), (1.75, True), (2.0, False), (0.1, False)])
def test_a_pad_of_integers_is_on_their_grid(value, known):
    graph = QonnxGraph()
    assert (grid(graph, graph.pad(graph.integers(4, 0.25), value)) is not None) == known


def test_real_tensors_have_none():
    graph = QonnxGraph()
    assert grid(graph, graph.node("Sigmoid", graph.integers())) is None
    model = graph.model(graph.node("Neg", "image"))
    assert grid_of(model, "image") is None


@pytest.mark.parametrize("kind", ["Flatten", "Pad", "Identity", "Slice", "Concat", "MaxPool", "Reshape"])
def test_shapes_keep_the_grid(kind):
    graph = QonnxGraph()
    x = graph.integers()
    inputs = {
        "Pad": [graph.constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64), 0.0],
        "Slice": [graph.constant([value], np.int64) for value in (0, 4, 1, 2)],
        "Concat": [x],
        "Reshape": [graph.constant([1, -1], np.int64)],
    }.get(kind, [])
    attributes = {"Concat": {"axis": 1}, "MaxPool": {"kernel_shape": [2, 2], "strides": [2, 2]}}.get(kind, {})
    assert grid(graph, graph.node(kind, x, *inputs, **attributes)) == Grid(0.25, -16, 15)


def test_grouped_votes_are_signs():
    graph = QonnxGraph()
    x = graph.node(
        "GroupVote", graph.signs(), graph.binary_weights(4, 4, 1, 1), domain=DOMAIN, stride=1, group=3, order="tap"
    )
    assert grid(graph, x) == Grid(1.0, -1, 1, bipolar=True)


@pytest.mark.parametrize("quantizer", [{}, {"narrow": 1}, {"signed": 0}])
def test_a_stream_has_the_whole_range_of_its_bits(quantizer):
    graph = QonnxGraph()
    x = graph.quant(graph.node("Sub", "image", 100.0), 0.5, 5, **quantizer)
    model = run_pass(graph.model(x), InferPixelOffset)
    bits = 6 if quantizer.get("signed") == 0 else 5
    assert grid_of(model, x) == Grid(0.5, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def test_a_stream_of_signs():
    graph = QonnxGraph()
    x = graph.bipolar(graph.integers(), 0.5)
    model: ModelWrapper = run_pass(graph.model(x), InferSignThreshold)
    assert grid_of(model, x) == Grid(0.5, -1, 1, bipolar=True)
