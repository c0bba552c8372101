import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.execute import execute_graph
from flow.golden import Golden
from flow.graph import hardware_nodes
from flow.passes import InferIntConv, to_integers
from flow.passes.integer import logit_affine

from .graphs import QonnxGraph, applied, assert_refused, kinds, node_types, only, random_images

PER_CHANNEL = np.float32([0.25, 0.25, 0.5, 0.5]).reshape(1, 4, 1, 1)


def int_conv(graph, x=None, outputs=4, kernel=3, bias=(), scale=0.125, **attributes):
    """A convolution of integers on the grid of 0.25 with weights on that of 0.125: its sums lie on that of 2^-5."""
    weights = graph.integer_weights(outputs, graph.channels, kernel, kernel, scale=scale)
    return graph.conv(x or graph.integers(), weights, *bias, **{"pads": [kernel // 2] * 4, **attributes})


def approximations(model) -> dict:
    return json.loads(model.get_metadata_prop("flow_approximations") or "{}")


# a shift


def test_a_truncating_quantizer_is_a_shift():
    graph = QonnxGraph()
    model = graph.model(graph.quant(int_conv(graph), 0.25, 7, rounding="FLOOR"))
    model = applied(model, InferIntConv)
    assert node_types(model)[-4:] == ["ToStream", "SlidingWindow", "IntConv", "FromStream"]
    op = only(model, "IntConv").op
    assert (op.bits, op.weight_bits, op.out_bits, op.shift, op.features, op.channels) == (5, 4, 7, 3, 4, 36)
    weights, bias = only(model, "IntConv").constants
    assert np.abs(weights).max() == 7 and not bias.any()
    window = only(model, "SlidingWindow").op
    assert (window.kernel, window.stride, window.padding, window.pad_value) == ((3, 3), (1, 1), (1, 1, 1, 1), 0)
    assert approximations(model) == {}


def test_a_bias_stands_on_the_grid_of_the_sums():
    graph = QonnxGraph()
    x = int_conv(graph, bias=[[0.0, 1.0, -2.0, 3 / 32]])
    model = applied(graph.model(graph.quant(x, 0.25, 7, rounding="FLOOR")), InferIntConv)
    np.testing.assert_array_equal(only(model, "IntConv").constants[1], [0, 32, -64, 3])


def test_a_finer_result_needs_a_multiplier():
    graph = QonnxGraph(channels=2)
    x = int_conv(graph, kernel=1)
    model = applied(graph.model(graph.quant(x, 2.0**-7, 12, rounding="FLOOR")), InferIntConv)
    node = only(model, "IntConv")
    assert node.op.shift == 0
    np.testing.assert_array_equal(node.constants[2], [4] * 4)


def test_bits_as_weights():
    graph = QonnxGraph()
    x = graph.binary_conv(graph.integers(), pad=0.0, scale=0.5)
    model = applied(graph.model(graph.quant(x, 0.25, 7, rounding="FLOOR")), InferIntConv)
    assert only(model, "IntConv").op.weight_bits == 1
    assert set(only(model, "IntConv").constants[0].ravel()) == {-1, 1}


@pytest.mark.parametrize("pad", [0.0, 1.0])
def test_bits_as_inputs(pad):
    """Padded with a value that bits have, or with zeros, which are masked."""
    graph = QonnxGraph()
    x = graph.conv(graph.pad(graph.signs(), pad), graph.integer_weights(4, graph.channels, 3, 3, scale=0.5))
    model = applied(graph.model(graph.quant(x, 0.5, 9, rounding="FLOOR")), InferIntConv)
    op, window = only(model, "IntConv").op, only(model, "SlidingWindow").op
    assert (op.bits, op.weight_bits, op.masked, op.shift) == (1, 4, int(pad == 0), 0)
    assert (window.bits, window.padding, window.pad_value) == (1, (1, 1, 1, 1), pad)


def test_an_unsigned_input_has_a_bit_more():
    graph = QonnxGraph()
    x = int_conv(graph, graph.integers(bits=4, signed=0))
    model = applied(graph.model(graph.quant(x, 0.25, 7, rounding="FLOOR")), InferIntConv)
    assert only(model, "IntConv").op.bits == only(model, "SlidingWindow").op.bits == 5


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(1, 1, 0), (1, 2, 0), (3, 2, 1), (5, 1, 2), (4, 4, 0)])
def test_kernels_and_strides(kernel, stride, padding):
    graph = QonnxGraph(height=8)
    x = int_conv(graph, kernel=kernel, strides=[stride] * 2, pads=[padding] * 4)
    model = applied(graph.model(graph.quant(x, 0.25, 8, rounding="FLOOR")), InferIntConv)
    window = only(model, "SlidingWindow").op
    assert (window.kernel, window.stride, window.padding) == ((kernel,) * 2, (stride,) * 2, (padding,) * 4)


@pytest.mark.parametrize(
    "window",
    [
        {"kernel_shape": [2, 3], "strides": [1, 2], "pads": [0, 1, 1, 2], "dilations": [3, 1]},
        {"kernel_shape": [1, 4], "strides": [2, 1], "pads": [0, 0, 0, 3], "dilations": [1, 1]},
    ],
)
def test_windows_of_any_shape(window):
    graph = QonnxGraph(height=8)
    x = graph.conv(graph.integers(), graph.integer_weights(4, 4, *window["kernel_shape"], scale=0.125), **window)
    model = applied(graph.model(graph.quant(x, 0.25, 8, rounding="FLOOR")), InferIntConv)
    found = only(model, "SlidingWindow").op
    assert [list(side) for side in (found.kernel, found.stride, found.padding, found.dilation)] == [*window.values()]


@pytest.mark.parametrize("groups", [2, 4])
@pytest.mark.parametrize("binary", [False, True], ids=["integers", "signs"])
def test_groups_stay_groups(groups, binary):
    """Its weights are those of the file, and the window comes group after group."""
    graph = QonnxGraph(channels=8)
    shape = 4 * groups, 8 // groups, 3, 3
    weights = graph.binary_weights(*shape, scale=0.125) if binary else graph.integer_weights(*shape)
    x = graph.conv(graph.integers(), weights, group=groups, pads=[1, 0, 0, 1], strides=[1, 2])
    x = graph.batch_norm(x, graph.rng.choice([-0.5, 0.5, 1.0, 2.0], 4 * groups))
    model = applied(graph.model(graph.quant(x, 0.25, 7, rounding="FLOOR")), InferIntConv)
    (window,), conv = [n.op for n in hardware_nodes(model) if n.kind == "SlidingWindow"], only(model, "IntConv")
    assert (window.order, window.block, conv.op.conv_groups) == ("block", 8 // groups, groups)
    assert conv.constants[0].shape == (4 * groups, 72 // groups)


def test_a_pad_with_zeros_is_taken_along():
    graph = QonnxGraph()
    x = int_conv(graph, graph.pad(graph.integers()), pads=[0] * 4)
    model = applied(graph.model(graph.quant(x, 0.25, 7, rounding="FLOOR")), InferIntConv)
    assert "Pad" not in node_types(model) and only(model, "SlidingWindow").op.padding == (1, 1, 1, 1)


def test_weights_with_a_scale_an_output_channel():
    graph = QonnxGraph()
    x = int_conv(graph, scale=np.float32([0.125, 0.25, 0.5, 1.0]).reshape(4, 1, 1, 1))
    model = applied(graph.model(graph.quant(x, 0.25, 10, rounding="FLOOR")), InferIntConv)
    assert only(model, "IntConv").op.shift == 3
    np.testing.assert_array_equal(only(model, "IntConv").constants[2], [1, 2, 4, 8])


# multiply and shift


def test_constants_on_a_dyadic_grid_are_exact():
    graph = QonnxGraph()
    x = graph.batch_norm(int_conv(graph), [0.75, -1.5, 0.0, 2.0], [0.5, -0.25, 1.0, 0.125], [1.0, 0.0, 2.0, -1.0])
    model = applied(graph.model(graph.quant(x, 0.25, 7, rounding="FLOOR")), InferIntConv)
    node = only(model, "IntConv")
    assert node.op.shift == 5
    np.testing.assert_array_equal(node.constants[2], [3, -6, 0, 8])
    assert approximations(model) == {}


def test_a_chain_of_every_affine_node():
    graph = QonnxGraph()
    x = graph.node("Neg", graph.node("Div", graph.node("Sub", 1.0, int_conv(graph)), 2.0))
    x = graph.node("Add", graph.node("Mul", graph.node("Identity", x), -1.5), PER_CHANNEL)
    model = applied(graph.model(graph.quant(x, 0.25, 7, rounding="FLOOR")), InferIntConv)
    np.testing.assert_array_equal(only(model, "IntConv").constants[2], [-3] * 4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(4, 10), st.sampled_from(["ROUND", "FLOOR"]))
def test_any_batch_norm_differs_by_one_at_most_and_says_so(seed, bits, rounding):
    graph = QonnxGraph(channels=3, seed=seed)
    scale, bias, mean = graph.rng.normal(size=(3, 6))
    x = graph.batch_norm(int_conv(graph, outputs=6), scale, bias, mean, 0.7, 1e-5)
    exact = graph.model(graph.quant(x, 2.0 ** (4 - bits), bits, rounding=rounding))
    model = applied(exact, InferIntConv, tolerance=2.0 ** (4 - bits))
    assert only(model, "IntConv").op.out_bits == bits
    images = random_images(exact)
    if (execute_graph(model, images) != execute_graph(exact, images)).any():
        assert approximations(model)["Conv_0"]["largest_error"] == 1.0


def test_halves_go_to_the_even_neighbour():
    """As ROUND does: of eight sums one is halfway."""
    graph = QonnxGraph()
    model = applied(graph.model(graph.quant(int_conv(graph), 0.25, 7)), InferIntConv)
    op = only(model, "IntConv").op
    assert (op.shift, op.even, op.scaled) == (3, 1, 0)
    np.testing.assert_array_equal(only(model, "IntConv").constants[1], [4] * 4)  # half of a step
    assert approximations(model) == {}


def test_halves_of_channels_with_gains_of_their_own():
    graph = QonnxGraph()
    x = graph.batch_norm(int_conv(graph), [0.75, -1.5, 0.5, 2.0], [0.5, -0.25, 1.0, 0.125])
    model = applied(graph.model(graph.quant(x, 0.25, 7)), InferIntConv)
    assert (only(model, "IntConv").op.even, approximations(model)) == (1, {})


def test_without_halves_nothing_goes_to_even():
    """The bias is a quarter of a step, the sums whole halves."""
    graph = QonnxGraph()
    x = int_conv(graph, bias=[[0.0625] * 4], scale=0.5)
    model = applied(graph.model(graph.quant(x, 0.25, 8)), InferIntConv)
    assert (only(model, "IntConv").op.even, approximations(model)) == (0, {})


# a sign behind it


def test_a_sign_is_a_threshold_on_the_sums():
    graph = QonnxGraph()
    model = applied(graph.model(graph.bipolar(int_conv(graph), 0.5)), InferIntConv)
    assert node_types(model)[-5:] == ["ToStream", "SlidingWindow", "IntConv", "SignThreshold", "FromStream"]
    op = only(model, "IntConv").op
    assert op.shift == 0 and op.out_bits == 2 == only(model, "SignThreshold").op.bits  # all that a sign needs
    np.testing.assert_array_equal(only(model, "SignThreshold").constants[0], [0] * 4)


def test_a_falling_sign_turns_the_weights():
    """Sums on 2^-5: s + 1 >= 0 from -32 on; -s + 0.5 >= 0 is -s >= -16; a zero scale is always or never +1."""
    graph = QonnxGraph(channels=2)
    integers = graph.rng.integers(-7, 8, (4, 2, 3, 3))
    x = graph.conv(graph.integers(), graph.quant(0.125 * integers, 0.125, 4, narrow=1), pads=[1] * 4)
    model = graph.model(graph.bipolar(graph.batch_norm(x, [1.0, -1.0, 0.0, 0.0], [1.0, 0.5, 1.0, -1.0])))
    model = applied(model, InferIntConv)
    reach = np.abs(integers).reshape(4, -1).sum(axis=1).max() * 16
    np.testing.assert_array_equal(only(model, "IntConv").constants[1], [32, 16, reach + 1, -reach - 1])
    np.testing.assert_array_equal(only(model, "SignThreshold").constants[0], [0] * 4)
    rows = integers.transpose(0, 2, 3, 1).reshape(4, -1)  # row, column, channel
    np.testing.assert_array_equal(only(model, "IntConv").constants[0], rows * np.array([1, -1, 1, 1])[:, None])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_any_batch_norm_into_a_sign(seed):
    graph = QonnxGraph(channels=3, seed=seed)
    scale, bias, mean = graph.rng.normal(size=(3, 6))
    scale[0] = 0.0
    x = int_conv(graph, outputs=6, bias=[graph.rng.normal(size=6)])
    model = graph.model(graph.bipolar(graph.batch_norm(x, scale, bias, mean, 0.7, 1e-5)))
    assert kinds(applied(model, InferIntConv)) == ["SlidingWindow", "IntConv", "SignThreshold"]


# logits


def test_the_last_layer_gives_its_sums():
    graph = QonnxGraph()
    weights = graph.integer_weights(10, 64, bits=8)
    x = graph.node("Gemm", graph.node("Flatten", graph.integers()), weights, np.arange(10) / 32, transB=1)
    exact = graph.model(x)
    model = applied(exact, InferIntConv)
    op = only(model, "IntConv").op
    assert (op.shift, op.out_bits, op.weight_bits) == (0, 32, 8)
    np.testing.assert_array_equal(only(model, "IntConv").constants[1], np.arange(10))
    assert float(model.get_metadata_prop("logit_scale")) == 2.0**-5
    images = random_images(exact)
    np.testing.assert_array_equal(Golden(to_integers(exact)).execute(images) * 2.0**-5, execute_graph(exact, images))
    assert approximations(model) == {}


def test_a_map_of_logits():
    graph = QonnxGraph()
    assert kinds(applied(graph.model(int_conv(graph)), InferIntConv)) == ["SlidingWindow", "IntConv"]


def test_a_bias_between_two_sums_is_rounded_and_the_scores_add_the_rest():
    graph = QonnxGraph()
    model = applied(graph.model(int_conv(graph, bias=[[0.0, 0.01, 0.02, 1.0]])), InferIntConv, tolerance=2.0**-6)
    scale, offset = logit_affine(model)
    assert scale == 2.0**-5
    np.testing.assert_allclose(offset, [0.0, 0.01, 0.02 - 2.0**-5, 0.0], atol=1e-8)


@pytest.mark.parametrize("form", ["Gemm", "MatMul", "MatMul, Transpose"])
def test_dense_layers(form):
    graph = QonnxGraph()
    x, shape = graph.node("Flatten", graph.integers()), (6, 64) if "Transpose" in form else (64, 6)
    weights = graph.integer_weights(*shape)
    weights = graph.node("Transpose", weights, perm=[1, 0]) if "Transpose" in form else weights
    x = graph.quant(graph.node(form.split(",")[0], x, weights), 0.25, 8, rounding="FLOOR")
    model = applied(graph.model(x), InferIntConv)
    assert only(model, "SlidingWindow").op.is_wire  # one pixel, which has the whole map
    assert only(model, "IntConv").constants[0].shape == (6, 64)


# what it refuses or leaves


def test_padding_with_a_value_of_the_input():
    graph = QonnxGraph()
    x = graph.quant(int_conv(graph, graph.pad(graph.integers(), -0.75), pads=[0] * 4), 0.25, 8, rounding="FLOOR")
    model = applied(graph.model(x), InferIntConv)
    assert only(model, "SlidingWindow").op.pad_value == -3


def test_other_padding_is_refused():
    graph = QonnxGraph()
    model = graph.model(int_conv(graph, graph.pad(graph.integers(), 0.3), pads=[0] * 4))
    assert_refused(model, InferIntConv, r"Conv_0 \(Conv, 1x4x4x4\): padding with 0.3")


@pytest.mark.parametrize("reader", ["real", "two", "flatten"])
def test_an_output_that_is_not_quantized_is_refused(reader):
    graph = QonnxGraph()
    x = int_conv(graph)
    if reader == "real":
        x = graph.node("Sigmoid", x)
    elif reader == "two":
        x = graph.node("Add", graph.quant(x), graph.bipolar(x))
    else:
        x = graph.node("Flatten", x)
    why = {
        "real": "no quantizer is behind it",
        "two": "Quant_2 .*, BipolarQuant_0 .* read",
        "flatten": "it runs into Flatten_0",
    }
    match = rf"Conv_0 .*its output does not run through constants into one quantizer: {why[reader]}.*; put a quantizer"
    assert_refused(graph.model(x), InferIntConv, match)


def test_logits_with_a_scale_each_are_refused():
    graph = QonnxGraph()
    model = graph.model(int_conv(graph, scale=np.float32([1, 1, 1, 2]).reshape(4, 1, 1, 1)))
    match = r"Conv_0 .*its logits have a scale each; quantize the last layer's weights with one scale"
    assert_refused(model, InferIntConv, match)


def test_a_quantizer_of_several_scales_is_refused():
    graph = QonnxGraph()
    model = graph.model(graph.quant(int_conv(graph), PER_CHANNEL))
    assert_refused(model, InferIntConv, r"Quant_2 \(Quant, .*has several scales; use one scale")


@pytest.mark.parametrize("rounding", ["CEIL", "FLOOR", "ROUND"])
def test_roundings_of_a_scale_that_is_no_power_of_two(rounding):
    graph = QonnxGraph()
    model = applied(graph.model(graph.quant(int_conv(graph), 0.3, 5, rounding=rounding)), InferIntConv, tolerance=1e-5)
    assert approximations(model) == {}


@pytest.mark.parametrize("kind", ["Relu", "LeakyRelu"])
def test_a_bend_that_the_quantizer_does_not_cut_off_is_two_lines_on_the_sums(kind):
    graph = QonnxGraph()
    model = applied(
        graph.model(graph.quant(graph.node(kind, int_conv(graph)), 0.17131, 8)), InferIntConv, tolerance=1e-5
    )
    assert kinds(model) == ["SlidingWindow", "IntConv", "PReLU"] and approximations(model) == {}


@pytest.mark.parametrize("kind", ["HardSwish", "Sigmoid", "Relu"])
def test_few_steps_are_thresholds_on_the_sums(kind):
    graph = QonnxGraph()
    x = graph.batch_norm(int_conv(graph), [1.0, -0.5, 2.0, 0.7], [0.1, 0.2, 0.3, -0.4])
    model = applied(graph.model(graph.quant(graph.node(kind, x), 0.3, 3)), InferIntConv, tolerance=1e-5)
    assert kinds(model) == ["SlidingWindow", "IntConv", "MultiThreshold"] and approximations(model) == {}


def test_a_chain_over_several_quantizers_is_one_activation():
    graph = QonnxGraph()
    x = graph.node("Max", graph.quant(graph.batch_norm(int_conv(graph), [1.0, -0.5, 2.0, 0.7]), 1.0, 2), -1.0)
    model = applied(graph.model(graph.quant(x, 1.0, 2)), InferIntConv)
    assert kinds(model)[:2] == ["SlidingWindow", "IntConv"] and len(kinds(model)) == 3
    assert approximations(model) == {}


def test_a_relu_that_the_quantizer_cuts_off():
    graph = QonnxGraph()
    x = graph.node("Sub", graph.node("Relu", int_conv(graph)), 16 * 0.17)
    model = applied(graph.model(graph.quant(x, 0.17, 5)), InferIntConv, tolerance=1e-5)
    assert kinds(model) == ["SlidingWindow", "IntConv"] and approximations(model) == {}


def test_an_unsigned_result():
    graph = QonnxGraph()
    model = applied(graph.model(graph.quant(int_conv(graph), 0.25, 6, signed=0, rounding="FLOOR")), InferIntConv)
    assert kinds(model) == ["SlidingWindow", "IntConv", "PReLU"] and approximations(model) == {}


def test_a_sign_on_millions_of_sums():
    graph = QonnxGraph(channels=1)
    x = graph.conv(graph.integers(bits=10), graph.integer_weights(4, 1, 3, 3, bits=12, scale=1.0))
    model = applied(graph.model(graph.bipolar(graph.batch_norm(x, [1.0, -1, 2, 1], [9.0, 1, 3, -5]))), InferIntConv)
    assert kinds(model) == ["SlidingWindow", "IntConv", "SignThreshold"]


def test_a_sign_of_a_size_has_two_thresholds():
    """|s| >= 1 by a PRelu of slope -1."""
    graph = QonnxGraph()
    x = graph.node("PRelu", int_conv(graph), np.full((4, 1, 1), -1.0))
    model = applied(graph.model(graph.bipolar(graph.node("Sub", x, 1.0))), InferIntConv)
    assert kinds(model) == ["SlidingWindow", "IntConv", "MultiThreshold", "SignThreshold"]
    assert only(model, "MultiThreshold").op.thresholds == 2


def test_a_sign_that_turns_often_is_refused():
    graph = QonnxGraph()
    x = graph.node("Sin", graph.batch_norm(int_conv(graph), [4.0, 5.0, 6.0, 7.0]))
    assert_refused(graph.model(graph.bipolar(x)), InferIntConv, r"BipolarQuant_0 .*its chain is not monotone")


def test_signs_and_real_tensors_are_left_alone():
    graph = QonnxGraph()
    x = graph.quant(graph.binary_conv(graph.signs()))
    assert kinds(applied(graph.model(x), InferIntConv)) == []
    graph = QonnxGraph()
    x = graph.quant(int_conv(graph, graph.node("Sigmoid", graph.integers())))
    assert kinds(applied(graph.model(x), InferIntConv)) == []
    graph = QonnxGraph()
    x = graph.quant(graph.conv(graph.integers(), graph.rng.normal(size=(4, 4, 3, 3))))
    assert kinds(applied(graph.model(x), InferIntConv)) == []


# faults


@pytest.mark.parametrize("quantizer", ["bipolar", "quant"])
def test_a_bias_behind_a_matmul(quantizer):
    graph = QonnxGraph()
    x = graph.node("MatMul", graph.node("Flatten", graph.integers()), graph.integer_weights(64, 8))
    x = graph.node("Add", x, np.linspace(-9, 9, 8))
    x = graph.bipolar(x) if quantizer == "bipolar" else graph.quant(x, 0.25, 8)
    model = applied(graph.model(x), InferIntConv, tolerance=0.25)
    assert "IntConv" in kinds(model)  # is no reason to refuse it either


def test_constants_of_pixels_are_refused():
    graph = QonnxGraph()
    x = graph.node("Add", int_conv(graph), np.linspace(-3, 3, 16).reshape(1, 1, 4, 4))
    applied(graph.model(graph.quant(x, 0.25, 8, rounding="FLOOR")), InferIntConv)


def test_weights_with_a_scale_an_input_channel_are_refused():
    graph = QonnxGraph()
    x = int_conv(graph, kernel=1, scale=np.float32([0.125, 0.25, 0.5, 1.0]).reshape(1, 4, 1, 1))
    applied(graph.model(graph.quant(x, 0.25, 10, rounding="FLOOR")), InferIntConv)


def test_the_factor_of_a_gemm():
    graph = QonnxGraph()
    x = graph.node("Gemm", graph.node("Flatten", graph.integers()), graph.integer_weights(64, 8), alpha=2.0)
    applied(graph.model(x), InferIntConv)


def test_automatic_padding():
    graph = QonnxGraph()
    x = graph.conv(graph.integers(), graph.integer_weights(4, 4, 3, 3), auto_pad="SAME_UPPER")
    applied(graph.model(graph.quant(x, 0.25, 7, rounding="FLOOR")), InferIntConv)


def test_a_matmul_on_a_map():
    graph = QonnxGraph()
    x = graph.node("MatMul", graph.integers(), graph.integer_weights(4, 4))
    applied(graph.model(graph.quant(x, 0.25, 8, rounding="FLOOR")), InferIntConv)
