import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.execute import execute_graph
from flow.passes import InferPixelOffset, PassError, run_pass, to_integers

from .graphs import QonnxGraph, applied, assert_refused, kinds, node_types, only

PIXELS = np.arange(256)
ALL_PIXELS = PIXELS.astype(np.uint8)[:, None, None, None]


def centred(graph):
    """(pixel - 128) on 8 bits."""
    return graph.quant(graph.node("Sub", "image", 128.0), 1.0, 8)


def unit(graph):
    """The same integers, by the way of 0..1."""
    return graph.quant(graph.node("Sub", graph.node("Div", "image", 256.0), 0.5), 2.0**-8, 8)


def normalised(graph):
    """The same integers, by a BatchNormalization."""
    return graph.quant(graph.batch_norm("image", [0.25] * 4, -32.0), 0.25, 8)


@pytest.mark.parametrize("normalise", [centred, unit, normalised])
def test_pixel_minus_128_is_pixel_offset(normalise):
    graph = QonnxGraph()
    model = applied(graph.model(normalise(graph)), InferPixelOffset)
    assert node_types(model) == ["ToStream", "PixelOffset", "FromStream"]
    node = only(model, "PixelOffset")
    assert (node.op.height, node.op.width, node.op.channels, node.op.p) == (4, 4, 4, 1)


@pytest.mark.parametrize(
    ("quantizer", "bits", "table"),
    [
        ({"scale": 1.0, "bits": 7}, 7, np.clip(PIXELS - 128, -64, 63)),
        ({"scale": 1.0, "bits": 8, "narrow": 1}, 8, np.maximum(PIXELS - 128, -127)),
        ({"scale": 0.5, "bits": 9}, 9, np.clip(2 * (PIXELS - 128), -256, 255)),
        ({"scale": 2.0, "bits": 8, "rounding": "FLOOR"}, 8, (PIXELS - 128) // 2),
        ({"scale": 1.0, "bits": 4, "signed": 0}, 5, np.clip(PIXELS - 128, 0, 15)),
    ],
    ids=["fewer bits", "narrow", "finer", "floor", "unsigned"],
)
def test_another_quantizer_is_a_table(quantizer, bits, table):
    graph = QonnxGraph()
    model = graph.model(graph.quant(graph.node("Sub", "image", 128.0), **quantizer))
    node = only(applied(model, InferPixelOffset), "ValueTable")
    assert node.op.out_bits == bits and node.op.unsigned
    np.testing.assert_array_equal(node.constants[0], table)


def test_an_image_of_signs_is_a_table_and_a_sign():
    graph = QonnxGraph()
    model = applied(graph.model(graph.signs(0.5)), InferPixelOffset)
    node = only(model, "ValueTable")
    assert node.op.out_bits == 2 and kinds(model) == ["ValueTable", "SignThreshold"]
    np.testing.assert_array_equal(node.constants[0], np.where(PIXELS >= 128, 1, -1))


def test_a_quantizer_alone_is_a_table():
    graph = QonnxGraph()
    model = graph.model(graph.quant("image", 1.0, 8, signed=0))
    np.testing.assert_array_equal(only(applied(model, InferPixelOffset), "ValueTable").constants[0], PIXELS)


@settings(max_examples=15, deadline=None)
@given(st.floats(-0.1, 0.1), st.floats(-4, 4), st.integers(2, 9), st.sampled_from(["ROUND", "FLOOR", "CEIL"]))
def test_any_normalisation_is_a_table(gain, offset, bits, rounding):
    graph = QonnxGraph(channels=1, height=1)
    scaled = graph.node("Add", graph.node("Mul", graph.node("Sub", "image", 120.0), gain), offset)
    model = graph.model(graph.quant(scaled, 2.0**-5, bits, rounding=rounding))
    before = execute_graph(model, ALL_PIXELS)
    model = run_pass(model, InferPixelOffset)
    assert kinds(model) in (["ValueTable"], ["PixelOffset"])
    np.testing.assert_array_equal(execute_graph(model, ALL_PIXELS), before)


def test_an_image_without_a_quantizer_is_refused():
    graph = QonnxGraph()
    model = graph.model(graph.node("Sigmoid", graph.node("Mul", "image", 0.01)))
    assert_refused(
        model,
        InferPixelOffset,
        r"Mul_0 \(Mul, 1x4x4x4\): the image does not run through constants into one quantizer: no quantizer is behind "
        "it; quantize the input",
    )


def test_an_image_with_two_readers_is_refused():
    graph = QonnxGraph()
    model = graph.model(graph.node("Add", graph.integers(), graph.integers()))
    assert_refused(model, InferPixelOffset, r"Sub_0 .*the image does not run through constants into one quantizer")


def test_channels_that_are_normalised_differently():
    graph = QonnxGraph()
    model = graph.model(graph.quant(graph.batch_norm("image", [0.3, 0.37, 0.53, 0.61], -60.77), 1.0, 8))
    assert kinds(applied(model, InferPixelOffset)) == ["PixelOffset", "PReLU"]


def test_channels_that_are_bent_differently_are_refused():
    graph = QonnxGraph()
    x = graph.node("Sin", graph.batch_norm("image", [0.01, 0.02, 0.03, 0.04]))
    match = (
        r"Quant_0 \(Quant, 1x4x4x4\): its channels quantize the same pixel by no straight lines; normalise all alike"
    )
    assert_refused(graph.model(graph.quant(x, 1 / 64, 8)), InferPixelOffset, match)


def test_different_constants_with_the_same_integers_are_taken():
    graph = QonnxGraph()
    model = graph.model(
        graph.quant(graph.node("Sub", "image", np.float32([128, 128.1, 127.9, 128])[:, None, None]), 1.0, 8)
    )
    assert kinds(applied(model, InferPixelOffset)) == ["PixelOffset"]


PER_CHANNEL = np.float32([0.25, 0.25, 0.5, 0.5]).reshape(1, 4, 1, 1)


@pytest.mark.parametrize(
    "quantizer, match",
    [
        ({"scale": PER_CHANNEL}, "Quant_0 .*its grid has several scales"),
        ({"zero": 3.0, "signed": 0}, "Mul_0 .*no quant"),
    ],
    ids=["scales", "zero point"],
)
def test_an_image_on_no_grid_is_refused(quantizer, match):
    graph = QonnxGraph()
    with pytest.raises(PassError, match=match):
        to_integers(graph.model(graph.quant(graph.node("Mul", "image", 0.1), **quantizer)))


def test_an_image_of_signs_with_several_scales_is_refused():
    graph = QonnxGraph()
    with pytest.raises(PassError, match="BipolarQuant_0"):
        to_integers(graph.model(graph.signs(PER_CHANNEL)))
