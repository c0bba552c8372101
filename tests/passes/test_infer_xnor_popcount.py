import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.custom_op import DOMAIN
from flow.execute import execute_graph
from flow.golden import Golden
from flow.passes import InferXnorPopcount, PassError, run_pass, to_integers

from .graphs import QonnxGraph, applied, assert_refused, kinds, node_types, only, random_images

PER_CHANNEL = np.float32([0.25, 0.25, 0.5, 0.5]).reshape(1, 4, 1, 1)


def engine(model, **expected):
    """The XnorPopcount, whose attributes are as ``expected``."""
    node = only(model, "XnorPopcount")
    assert {name: getattr(node.op, name) for name in expected} == expected
    return node


# majority votes


@pytest.mark.parametrize("channels", [3, 4], ids=["odd", "even"])
def test_the_sign_of_a_sum_is_a_majority_vote(channels):
    """27 products have no tie, 36 have one, which votes +1: the least sum that does is 1 or 0."""
    graph = QonnxGraph(channels=channels)
    model = graph.model(graph.bipolar(graph.binary_conv(graph.signs(), outputs=5)))
    model = applied(model, InferXnorPopcount)
    assert node_types(model)[-4:] == ["ToStream", "SlidingWindow", "XnorPopcount", "FromStream"]
    node = engine(model, activation="majority_vote", threshold=channels % 2, features=5, masked=0, group=0, bits=1)
    assert node.op.channels == 9 * channels
    assert node.constants[0].shape == (5, 9 * channels)


def test_ties_vote_plus_one():
    """Half of the sums of two products are 0."""
    graph = QonnxGraph(channels=2)
    weights = np.float32([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    model = graph.model(graph.bipolar(graph.conv(graph.signs(), graph.bipolar(weights[:, :, None, None]))))
    images = random_images(model)
    sums = np.where(images >= 128, 1, -1) @ weights.T
    assert (sums == 0).any()
    votes = execute_graph(run_pass(model, InferXnorPopcount), images)
    np.testing.assert_array_equal(votes.reshape(sums.shape), np.where(sums >= 0, 1, -1))  # rows, columns, channels


def test_positive_factors_keep_the_majority():
    graph = QonnxGraph()
    sums = graph.binary_conv(graph.signs(0.5), pad=-0.5, scale=0.25)
    x = graph.batch_norm(graph.node("Mul", sums, 3.0), [0.5, 1.0, 2.0, 1e-6])
    engine(applied(graph.model(graph.bipolar(x, 0.5)), InferXnorPopcount), activation="majority_vote", threshold=0)


def test_negative_factors_turn_the_weights():
    """sign(-s) is the majority of the opposite weights, but that the tie at s = 0 votes +1 in both."""
    graph = QonnxGraph(channels=3)
    weights = np.where(graph.rng.random((4, 3, 3, 3)) < 0.5, -1.0, 1.0)
    sums = graph.conv(graph.pad(graph.signs(), -1.0), graph.bipolar(weights))
    model = graph.model(graph.bipolar(graph.batch_norm(sums, [1.0, -1.0, -0.3, 2.0])))
    node = engine(applied(model, InferXnorPopcount), activation="majority_vote", threshold=1)
    rows = weights.transpose(0, 2, 3, 1).reshape(4, -1)  # row, column, channel
    np.testing.assert_array_equal(node.constants[0], rows * np.array([1, -1, -1, 1])[:, None])


def test_one_offset_for_all_is_a_majority_with_a_threshold():
    graph = QonnxGraph()
    x = graph.node("Sub", graph.binary_conv(graph.signs()), 5.0)
    engine(applied(graph.model(graph.bipolar(x)), InferXnorPopcount), activation="majority_vote", threshold=6)


@pytest.mark.parametrize("groups", [2, 4])
@pytest.mark.parametrize("pad", [-1.0, 0.0])
def test_groups_stay_groups(groups, pad):
    """Its weights are those of the file, all of them signs, and the window comes group after group."""
    graph = QonnxGraph(channels=8)
    sums = graph.binary_conv(graph.signs(), 2 * groups, pad=pad, channels=8 // groups, group=groups, strides=[1, 2])
    x = graph.batch_norm(sums, graph.rng.choice([-1.0, 0.5], 2 * groups), graph.rng.normal(size=2 * groups))
    model = applied(graph.model(graph.bipolar(x)), InferXnorPopcount)
    node = engine(model, conv_groups=groups, activation="threshold", masked=int(pad == 0))
    assert node.constants[0].shape == (2 * groups, 72 // groups)
    window = only(model, "SlidingWindow").op
    assert (window.order, window.block) == ("block", 8 // groups)


# thresholds


def test_offsets_of_channels_are_thresholds():
    """s >= 2 * o from the next even sum on; n = 36 sums reach from -36 to 36."""
    graph = QonnxGraph(channels=4)
    offsets = [0.0, 1.0, 3.5, -3.0, 18.0, -18.0, 18.5, -50.0]
    x = graph.batch_norm(graph.binary_conv(graph.signs(), outputs=8), [0.5] * 8, np.negative(offsets))
    node = engine(applied(graph.model(graph.bipolar(x)), InferXnorPopcount), activation="threshold")
    np.testing.assert_array_equal(node.constants[1], [0, 2, 8, -6, 36, -36, 37, -36])


def test_zero_scales_are_constant_votes():
    """Always is a threshold of the least sum, never is one above the largest."""
    graph = QonnxGraph()
    x = graph.batch_norm(graph.binary_conv(graph.signs()), [0, 0, 0, 1], [0, 0.5, -0.5, 0])
    node = engine(applied(graph.model(graph.bipolar(x)), InferXnorPopcount), activation="threshold")
    np.testing.assert_array_equal(node.constants[1], [-36, -36, 37, 0])


@pytest.mark.parametrize("offset", [-40.0, 40.0])
def test_one_vote_for_all_sums_is_no_majority(offset):
    """A majority vote could not say it: its threshold lies among the sums."""
    graph = QonnxGraph()
    votes = graph.bipolar(graph.node("Sub", graph.binary_conv(graph.signs()), offset))
    model = graph.model(graph.node("Add", votes, "image"))
    node = engine(applied(model, InferXnorPopcount), activation="threshold")
    np.testing.assert_array_equal(node.constants[1], [37 if offset > 0 else -36] * 4)


def test_a_bias_of_the_convolution_is_an_offset():
    graph = QonnxGraph()
    sums = graph.binary_conv(graph.signs(), scale=0.5, bias=[[0.0, 1.0, -1.0, -6.0]])
    node = engine(applied(graph.model(graph.bipolar(sums)), InferXnorPopcount), activation="threshold")
    np.testing.assert_array_equal(node.constants[1], [0, -2, 2, 12])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([-1.0, 0.0, 1.0, None]))
def test_any_batch_norm_into_a_sign(seed, pad):
    graph = QonnxGraph(channels=3, seed=seed)
    scale, bias, mean = graph.rng.normal(size=(3, 6)) * [[1], [2], [5]]
    scale[:2] = 0.0, 1e-6
    sums = graph.binary_conv(graph.signs(), outputs=6, pad=pad)
    model = graph.model(graph.bipolar(graph.batch_norm(sums, scale, bias, mean, 0.5, 1e-5)))
    engine(applied(model, InferXnorPopcount), activation="threshold")


# padding


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("pad", [-1, 0, 1])
@pytest.mark.parametrize("quantizer", ["bipolar", "quant"])
def test_padding(pad, scale, quantizer):
    graph = QonnxGraph()
    x = graph.batch_norm(graph.binary_conv(graph.signs(scale), pad=pad * scale), [0.4, 0.3, -0.2, 0.1], [0.1, 1, 2, 3])
    model = applied(graph.model(getattr(graph, quantizer)(x)), InferXnorPopcount)
    engine(model, masked=int(pad == 0))
    window = only(model, "SlidingWindow").op
    assert (window.kernel, window.stride, window.padding, window.pad_value) == ((3, 3), (1, 1), (1, 1, 1, 1), pad)


def test_padding_inside_the_convolution_is_zero():
    graph = QonnxGraph()
    model = graph.model(graph.bipolar(graph.binary_conv(graph.signs(), pad=None, pads=[1, 1, 1, 1])))
    engine(applied(model, InferXnorPopcount), masked=1)


def test_a_sum_of_fewer_products_may_be_odd_or_even():
    """With masked taps all sums from -n to n occur, so that thresholds are odd numbers too."""
    graph = QonnxGraph(channels=1)
    sums = graph.binary_conv(graph.signs(), outputs=4, pad=0.0)
    x = graph.node("Sub", sums, np.float32([0, 1, 2, 3]).reshape(4, 1, 1))
    node = engine(applied(graph.model(graph.bipolar(x)), InferXnorPopcount), activation="threshold")
    np.testing.assert_array_equal(node.constants[1], [0, 1, 2, 3])


@pytest.mark.parametrize(("pad", "scale"), [(0.5, 1.0), (1.0, 0.5), (-2.0, 1.0)])
def test_other_padding_is_refused(pad, scale):
    graph = QonnxGraph()
    model = graph.model(graph.bipolar(graph.binary_conv(graph.signs(scale), pad=pad)))
    assert_refused(
        model,
        InferXnorPopcount,
        rf"Conv_0 \(Conv, 1x4x4x4\): padding with {pad:g}: pad with 0 or with a value of the input, \+-{scale:g}",
    )


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (1, 2), (3, 2), (5, 1), (4, 4)])
def test_kernels_and_strides(kernel, stride):
    graph = QonnxGraph(height=8)
    pad = -1.0 if kernel > 1 else None
    sums = graph.binary_conv(graph.signs(), kernel=kernel, pad=pad, strides=[stride] * 2)
    model = applied(graph.model(graph.bipolar(sums)), InferXnorPopcount)
    window = only(model, "SlidingWindow").op
    assert (window.kernel, window.stride) == ((kernel,) * 2, (stride,) * 2)
    assert engine(model).op.channels == 4 * kernel**2


@pytest.mark.parametrize("pad", [-1.0, 0.0, 1.0])
def test_windows_of_any_shape(pad):
    graph = QonnxGraph(height=8)
    padded = graph.pad(graph.signs(), pad, pads=(0, 0, 1, 2, 0, 0, 0, 1))
    sums = graph.conv(padded, graph.binary_weights(4, 4, 2, 3), strides=[1, 2], dilations=[2, 1])
    model = applied(graph.model(graph.bipolar(sums)), InferXnorPopcount)
    window = only(model, "SlidingWindow").op
    assert (window.kernel, window.stride, window.dilation) == ((2, 3), (1, 2), (2, 1))
    assert window.padding == (1, 2, 0, 1) and window.pad_value == pad
    assert engine(model).op.masked == (pad == 0)


# sums that are multiplied


def test_a_quantizer_is_multiply_and_shift():
    graph = QonnxGraph()
    x = graph.batch_norm(graph.binary_conv(graph.signs(), scale=0.1), [0.7, -1.3, 0.0, 0.01], [0.3, 0.1, 1.0, -0.5])
    node = engine(applied(graph.model(graph.quant(x)), InferXnorPopcount), activation="popcount_scale", out_bits=5)
    _, multiplier, offset = node.constants
    sums = np.arange(-36, 37, 2)[:, None]
    real = sums * 0.1 * np.array([0.7, -1.3, 0.0, 0.01]) + np.array([0.3, 0.1, 1.0, -0.5])
    expected = np.clip(np.rint(real / 0.25), -16, 15)
    np.testing.assert_array_equal(np.clip((multiplier * sums + offset) >> node.op.shift, -16, 15), expected)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 10), st.sampled_from(["ROUND", "FLOOR", "CEIL"]), st.booleans())
def test_any_batch_norm_into_a_quantizer(seed, bits, rounding, masked):
    graph = QonnxGraph(channels=3, seed=seed)
    scale, bias = graph.rng.normal(size=(2, 6)) * 2.0 ** (bits - 6)
    scale[:2] = 0.0, 1e-6
    sums = graph.binary_conv(graph.signs(), outputs=6, pad=0.0 if masked else 1.0)
    model = graph.model(graph.quant(graph.batch_norm(sums, scale, bias), 0.25, bits, rounding=rounding))
    engine(applied(model, InferXnorPopcount), activation="popcount_scale", out_bits=bits)


@pytest.mark.parametrize("pad", [-1.0, 0.0])
def test_halves_go_to_the_even_neighbour(pad):
    graph = QonnxGraph()
    sums = graph.binary_conv(graph.signs(), pad=pad, scale=0.25)
    x = graph.batch_norm(sums, [1.0, -1.0, 0.5, 3.0], [0.0, 0.5, 0.0, 0.0])
    model = applied(graph.model(graph.quant(x, 1.0, 7)), InferXnorPopcount)
    engine(model, activation="popcount_scale", even=1, out_bits=7)


def test_a_bend_is_behind_the_sums():
    graph = QonnxGraph()
    x = graph.node("PRelu", graph.binary_conv(graph.signs(), scale=0.1), np.full((4, 1, 1), 0.25))
    model = applied(graph.model(graph.quant(x)), InferXnorPopcount)
    assert kinds(model)[:2] == ["SlidingWindow", "XnorPopcount"] and len(kinds(model)) == 3
    assert only(model, "XnorPopcount").op.activation == "sum"


# sums that are logits


def logits_equal(graph, output, gain, offset):
    """The integers of the sums, by the factor and the offset that the metadata hold, are the logits."""
    model = graph.model(output)
    images = random_images(model)
    expected = execute_graph(model, images)
    assert len(np.unique(expected)) > 2
    integer = to_integers(model)
    scale, shift = (float(integer.get_metadata_prop(f"logit_{name}")) for name in ("scale", "offset"))
    assert (scale, shift) == pytest.approx((gain, offset))
    sums = Golden(integer).execute(images)
    np.testing.assert_array_equal(sums * scale + shift, expected.reshape(len(images), -1))
    return integer


def test_sums_at_the_output_are_logits():
    graph = QonnxGraph(channels=5)
    sums = graph.binary_conv(graph.signs(), outputs=10, kernel=4, pad=None)
    model = logits_equal(graph, graph.node("Flatten", sums), 1.0, 0.0)
    engine(model, activation="sum", out_bits=8)  # -80 .. 80


def test_logits_have_one_scale_and_one_offset():
    graph = QonnxGraph()
    sums = graph.binary_conv(graph.signs(0.5), outputs=3, kernel=4, pad=None, scale=0.25, bias=[[1.0, 1.0, 1.0]])
    x = graph.node("Flatten", graph.node("Mul", sums, 2.0))
    x = graph.node("Div", graph.node("Sub", graph.node("Add", x, 3.0), 1.0), 4.0)
    logits_equal(graph, graph.batch_norm(x, [2.0] * 3, 0.5), 0.125, 2.5)


def test_logits_from_a_dense_layer():
    graph = QonnxGraph()
    x = graph.node("MatMul", graph.node("Flatten", graph.signs()), graph.binary_weights(64, 10))
    logits_equal(graph, graph.node("Mul", x, 0.5), 0.5, 0.0)


@pytest.mark.parametrize(
    "norm",
    [{"scale": [1.0, 2.0, 1.0]}, {"scale": [1.0] * 3, "bias": [0.0, 1.0, 0.0]}, {"scale": [-1.0] * 3}],
    ids=["scales", "offsets", "falling"],
)
def test_logits_of_different_scales_are_refused(norm):
    graph = QonnxGraph()
    x = graph.batch_norm(graph.binary_conv(graph.signs(), outputs=3, kernel=4, pad=None), **norm)
    assert_refused(
        graph.model(x),
        InferXnorPopcount,
        r"Conv_0 \(Conv, 1x3x1x1\): its sums do not run through constants into one quantizer",
    )


# grouped votes


def group_vote(graph, x, **attributes):
    return graph.node("GroupVote", x, graph.binary_weights(5, graph.channels, 3, 3), domain=DOMAIN, **attributes)


@pytest.mark.parametrize("order", ["tap", "row", "channel"])
@pytest.mark.parametrize(
    ("group", "group_threshold", "threshold"), [(3, 0, 0), (9, 0, 0), (4, 1, 0), (16, 0, 1), (5, 1, 2)]
)
def test_grouped_votes_keep_their_groups(order, group, group_threshold, threshold):
    graph = QonnxGraph(channels=2)
    voter = {"group": group, "order": order, "group_threshold": group_threshold, "threshold": threshold}
    x = group_vote(graph, graph.pad(graph.signs(), -1.0), stride=1, **voter)
    model = applied(graph.model(x), InferXnorPopcount)
    together = {"tap": 1, "row": 3, "channel": 9}[order]
    del voter["order"]
    engine(model, activation="majority_vote", simd=together, **voter)
    assert only(model, "SlidingWindow").op.order == order


def test_a_grouped_vote_of_stride_2():
    graph = QonnxGraph(channels=3, height=8)
    model = graph.model(group_vote(graph, graph.pad(graph.signs(), 1.0), stride=2, group=3, order="tap"))
    assert only(applied(model, InferXnorPopcount), "SlidingWindow").op.stride == (2, 2)


# dense layers


@pytest.mark.parametrize("form", ["Gemm", "Gemm, transposed", "MatMul", "MatMul, Transpose"])
def test_dense_layers(form):
    graph = QonnxGraph()
    x = graph.node("Flatten", graph.signs())
    if form == "Gemm":
        x = graph.node("Gemm", x, graph.binary_weights(64, 6))
    elif form == "Gemm, transposed":
        x = graph.node("Gemm", x, graph.binary_weights(6, 64), np.zeros(6), transB=1)
    else:
        weights = graph.binary_weights(6, 64) if "Transpose" in form else graph.binary_weights(64, 6)
        x = graph.node("MatMul", x, graph.node("Transpose", weights, perm=[1, 0]) if "Transpose" in form else weights)
    model = applied(graph.model(graph.bipolar(x)), InferXnorPopcount)
    engine(model, activation="majority_vote", features=6, channels=64)
    window = only(model, "SlidingWindow").op
    assert window.is_wire and window.channels == 64  # one pixel, which has the whole map


def test_a_dense_layer_behind_a_dense_layer():
    graph = QonnxGraph()
    x = graph.node("Flatten", graph.signs())
    for inputs, outputs in ((64, 7), (7, 5)):
        x = graph.bipolar(graph.node("Gemm", x, graph.binary_weights(outputs, inputs), transB=1))
    assert kinds(applied(graph.model(x), InferXnorPopcount)) == ["SlidingWindow", "XnorPopcount"] * 2


# what it leaves or refuses


def test_sums_with_two_readers_are_refused():
    graph = QonnxGraph()
    sums = graph.binary_conv(graph.signs())
    model = graph.model(graph.node("Add", graph.quant(sums), graph.bipolar(sums)))
    assert_refused(model, InferXnorPopcount, r"Conv_0 .*its sums do not run through constants into one quantizer")


def test_a_vote_for_both_ends_has_two_thresholds():
    """|s| >= 3 by a PRelu of slope -1 falls and rises."""
    graph = QonnxGraph()
    x = graph.node("PRelu", graph.binary_conv(graph.signs()), np.full((4, 1, 1), -1.0))
    model = applied(graph.model(graph.bipolar(graph.node("Sub", x, 3.0))), InferXnorPopcount)
    assert kinds(model) == ["SlidingWindow", "XnorPopcount", "MultiThreshold", "SignThreshold"]
    assert only(model, "MultiThreshold").op.thresholds == 2


def test_a_vote_that_turns_more_often_than_there_are_thresholds_is_refused():
    graph = QonnxGraph(channels=128)
    x = graph.node("Sin", graph.batch_norm(graph.binary_conv(graph.signs()), [1.4, 1.5, 1.6, 1.7]))
    assert_refused(graph.model(graph.bipolar(x)), InferXnorPopcount, r"BipolarQuant_2 .*no multiplier and shift")


def test_integers_are_left_alone():
    graph = QonnxGraph()
    x = graph.quant(graph.conv(graph.integers(), graph.binary_weights(4, 4, 1, 1)), 0.5, 6)
    assert kinds(applied(graph.model(x), InferXnorPopcount)) == []


def test_integer_weights_on_signs_are_left():
    """InferIntConv takes them."""
    graph = QonnxGraph(channels=4)
    x = graph.quant(graph.conv(graph.signs(), graph.integer_weights(4, 4, 3, 3)))
    assert kinds(applied(graph.model(x), InferXnorPopcount)) == []


# faults


def test_logits_that_are_the_sum_of_two_layers():
    graph = QonnxGraph()
    x = graph.signs()
    sums = [graph.binary_conv(x, outputs=3, kernel=4, pad=None) for _ in range(2)]
    applied(graph.model(graph.node("Add", *sums)), InferXnorPopcount)


def test_logits_of_several_pixels():
    graph = QonnxGraph()
    applied(
        graph.model(graph.node("Flatten", graph.binary_conv(graph.signs(), outputs=3, pad=None))), InferXnorPopcount
    )


@pytest.mark.parametrize("quantizer", ["bipolar", "quant"])
def test_a_bias_behind_a_matmul(quantizer):
    graph = QonnxGraph()
    x = graph.node("MatMul", graph.node("Flatten", graph.signs()), graph.binary_weights(64, 8))
    applied(graph.model(getattr(graph, quantizer)(graph.node("Add", x, np.linspace(-9, 9, 8)))), InferXnorPopcount)


@pytest.mark.parametrize("factor", [{"alpha": 0.5}, {"beta": 0.5}])
def test_factors_of_a_gemm(factor):
    graph = QonnxGraph()
    weights, bias = graph.binary_weights(8, 64), np.linspace(-9, 9, 8)
    x = graph.node("Gemm", graph.node("Flatten", graph.signs()), weights, bias, transB=1, **factor)
    applied(graph.model(graph.quant(x)), InferXnorPopcount)


def test_a_matmul_on_a_map():
    graph = QonnxGraph()
    applied(
        graph.model(graph.quant(graph.node("MatMul", graph.signs(), graph.binary_weights(4, 4)))), InferXnorPopcount
    )


def test_a_pad_with_two_readers():
    graph = QonnxGraph()
    padded = graph.pad(graph.signs(), -1.0)
    layers = [graph.bipolar(graph.conv(padded, graph.binary_weights(4, 4, 3, 3))) for _ in range(2)]
    applied(graph.model(graph.node("Add", *layers)), InferXnorPopcount)


def test_automatic_padding():
    graph = QonnxGraph()
    applied(
        graph.model(graph.bipolar(graph.binary_conv(graph.signs(), pad=None, auto_pad="SAME_UPPER"))), InferXnorPopcount
    )


def test_several_scales_behind_the_sums_are_refused():
    graph = QonnxGraph()
    with pytest.raises(PassError, match="Quant_0"):
        to_integers(graph.model(graph.quant(graph.binary_conv(graph.signs()), PER_CHANNEL)))
