"""Every normalisation leaves what a graph computes as it is; each test executes the graph before and after."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.execute import Execution
from flow.normalise import normalise
from flow.normalise.concats import Concats
from flow.normalise.dense import SplitGemms
from flow.normalise.edit import NodeRefused
from flow.normalise.grids import ExactGrids
from flow.normalise.layout import FlattenLater, MoveTransposes
from flow.normalise.means import GlobalPools
from flow.normalise.no_ops import RemoveNoOps, RemoveUnsqueezedNorms
from flow.normalise.offsets import MergeAdds, MoveOffsets, MoveScales
from flow.normalise.quantizers import SignedQuants
from flow.normalise.refusals import RefuseUnmapped
from flow.normalise.signs import BinaryWeights, Choices, Signs, Thresholds
from flow.normalise.windows import PlainConvs, Pools
from flow.passes.grid import grid_of
from tests.passes.graphs import QUANT_DOMAIN, QonnxGraph, node_types, random_images

LAST_PLACE = 1e-5  # of the spread: additions in another order


def outputs(model):
    image = model.graph.input[0].name
    pixels = random_images(model).transpose(0, 3, 1, 2).astype(np.float32)
    (result,) = Execution(model).run({image: pixels}).values()
    return np.asarray(result, np.float64)


def same(model, *rewrites):
    """Return ``model`` rewritten, after a comparison of what both compute."""
    before, rewritten = outputs(model), copy.deepcopy(model)
    assert len(np.unique(before)) > 1, "a graph of one value compares nothing"
    for rewrite in rewrites:
        rewritten = rewritten.transform(rewrite(), make_deepcopy=False, cleanup=False)
    np.testing.assert_allclose(outputs(rewritten), before, rtol=0, atol=LAST_PLACE * np.ptp(before))
    return rewritten


def test_no_ops():
    graph = QonnxGraph()
    x = graph.node("Cast", graph.node("Dropout", graph.node("Identity", graph.integers())), to=1)
    assert node_types(same(graph.model(graph.node("Neg", x)), RemoveNoOps)) == ["Sub", "Mul", "Quant", "Neg"]


def test_a_no_op_at_the_end():
    graph = QonnxGraph()
    model = same(graph.model(graph.node("Dropout", graph.integers())), RemoveNoOps)
    assert node_types(model) == ["Sub", "Mul", "Quant"]


def test_the_norm_of_a_row_by_unsqueeze():
    graph = QonnxGraph()
    x = graph.node("MatMul", graph.node("Flatten", graph.integers()), graph.integer_weights(64, 8))
    x = graph.node("Unsqueeze", x, graph.constant([2], np.int64))
    x = graph.batch_norm(x, graph.rng.normal(size=8), 0.5)
    model = same(graph.model(graph.node("Squeeze", x, graph.constant([2], np.int64))), RemoveUnsqueezedNorms)
    assert "Unsqueeze" not in node_types(model) and "Squeeze" not in node_types(model)


@pytest.mark.parametrize("alpha", [1.0, -0.5])
@pytest.mark.parametrize("beta", [1.0, 2.0, 0.0])
@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(alpha, beta, transposed):
    graph = QonnxGraph()
    weights = graph.integer_weights(*((6, 64) if transposed else (64, 6)))
    flat = graph.node("Flatten", graph.integers())
    x = graph.node("Gemm", flat, weights, graph.rng.normal(size=6), alpha=alpha, beta=beta, transB=transposed)
    model = same(graph.model(x), SplitGemms)
    assert "Gemm" not in node_types(model)


@pytest.mark.parametrize("kind", ["Greater", "GreaterOrEqual", "Less", "LessOrEqual"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("values", [(1.0, -1.0), (-1.0, 1.0), (3.0, 0.5)])
def test_choices(kind, turned, values):
    """Integers on 0.25 against 0.5, so that some are equal."""
    graph = QonnxGraph()
    x = graph.integers()
    compared = graph.node(kind, *((0.5, x) if turned else (x, 0.5)))
    chosen = graph.model(graph.node("Where", compared, *values))
    plain = QonnxGraph()
    expected = np.where(_compare(kind, outputs(plain.model(plain.integers())), 0.5, turned), *values)
    rewritten = chosen.transform(Choices(), make_deepcopy=False, cleanup=False)
    assert "Where" not in node_types(rewritten) and "BipolarQuant" in node_types(rewritten)
    np.testing.assert_array_equal(outputs(rewritten), expected)


def _compare(kind, x, limit, turned):
    compare = {"Greater": np.greater, "GreaterOrEqual": np.greater_equal, "Less": np.less, "LessOrEqual": np.less_equal}
    return compare[kind](limit, x) if turned else compare[kind](x, limit)


def test_a_sign_has_no_zero():
    graph = QonnxGraph()
    model = graph.model(graph.node("Sign", graph.integers()))
    before, after = outputs(model), outputs(model.transform(Signs()))
    assert (before == 0).any() and set(np.unique(after)) == {-1.0, 1.0}
    np.testing.assert_array_equal(after, np.where(before == 0, 1, before))


@pytest.mark.parametrize("steps", [1, 3, 6])
def test_multi_threshold(steps):
    graph = QonnxGraph()
    limits = np.sort(graph.rng.normal(size=(4, steps)), axis=1)
    x = graph.node(
        "MultiThreshold", graph.integers(), limits, domain=QUANT_DOMAIN, out_dtype="INT8", out_scale=2.0, out_bias=-1.0
    )
    model = same(graph.model(x), Thresholds)
    assert node_types(model)[-2:] == (["BipolarQuant", "Add"] if steps == 1 else ["Quant", "Add"]) or steps == 1


@pytest.mark.parametrize("dense", [False, True])
def test_binary_weights(dense):
    graph = QonnxGraph()
    if dense:
        weights = graph.rng.choice([-1.0, 1.0], (64, 6)) * graph.rng.uniform(0.1, 1, 6)
        x = graph.node("MatMul", graph.node("Flatten", graph.signs()), weights)
    else:
        x = graph.conv(graph.signs(), 0.3 * graph.rng.choice([-1.0, 1.0], (4, 4, 3, 3)))
    assert node_types(same(graph.model(x), BinaryWeights)).count("BipolarQuant") == 2


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.booleans(), st.booleans(), st.integers(-3, 3), st.sampled_from(["ROUND", "FLOOR", "CEIL"]))
def test_quantizers(bits, signed, narrow, zero, rounding):
    """Inputs on halves of the scale, so that every rounding has its ties."""
    bits = max(bits, 2) if narrow else bits
    graph = QonnxGraph()
    x = graph.quant(
        graph.integers(bits=6, scale=0.125), 0.25, bits, int(signed), int(narrow), rounding=rounding, zero=float(zero)
    )
    model = same(graph.model(graph.node("Mul", x, 4.0)), SignedQuants)
    last = [node for node in model.graph.node if node.op_type in ("Quant", "BipolarQuant")][-1]
    grid = grid_of(model, last.output[0])
    assert grid.bipolar or (grid.low, grid.high) == (-(1 << (grid.bits - 1)), (1 << (grid.bits - 1)) - 1)


@pytest.mark.parametrize(
    ("quantizer", "match"),
    [
        ({"scale": np.float32([0.1, 0.2, 0.3, 0.4]).reshape(1, 4, 1, 1)}, "it has 4 scales"),
        ({"bits": 20}, "it has 20 bits"),
        ({"bits": 2.5}, "it has 2.5 bits"),
        ({"rounding": "EVEN"}, "it rounds by EVEN"),
        ({"scale": -1.0}, "its scale is -1"),
    ],
)
def test_quantizers_that_are_refused(quantizer, match):
    graph = QonnxGraph()
    with pytest.raises(NodeRefused, match=rf"Quant_1 \(Quant\): {match}"):
        graph.model(graph.quant(graph.integers(), **quantizer)).transform(SignedQuants())


READERS = {
    "conv": lambda g, x: g.conv(x, g.integer_weights(3, 4, 3, 3), pads=[1] * 4),
    "dense": lambda g, x: g.node("MatMul", g.node("Flatten", x), g.integer_weights(64, 5)),
    "max pool": lambda g, x: g.conv(
        g.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), g.integer_weights(3, 4, 1, 1)
    ),
    "mean": lambda g, x: g.conv(g.node("GlobalAveragePool", x), g.integer_weights(3, 4, 1, 1)),
    "pad": lambda g, x: g.conv(g.pad(x, 0.5), g.integer_weights(3, 4, 3, 3)),
    "sum": lambda g, x: g.conv(g.node("Add", x, g.signs()), g.integer_weights(3, 4, 1, 1)),
    "concat": lambda g, x: g.conv(g.node("Concat", x, g.signs(), axis=1), g.integer_weights(3, 8, 1, 1)),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", ["Add", "Mul"])
def test_constants_move_behind_layers(kind, reader):
    graph = QonnxGraph()
    x = graph.node(kind, graph.integers(), 0.75)
    model = same(graph.model(READERS[reader](graph, x)), MoveOffsets, MoveScales, MergeAdds)
    if kind == "Add" or reader not in ("pad", "sum", "concat"):
        assert node_types(model)[-1] == kind


def test_offsets_a_channel_stay_in_front_of_padding():
    graph = QonnxGraph()
    x = graph.node("Add", graph.integers(), np.arange(4.0).reshape(1, 4, 1, 1))
    free, padded = (graph.conv(x, graph.integer_weights(3, 4, 3, 3), pads=[p] * 4, strides=[1 + p] * 2) for p in (0, 1))
    model = same(graph.model(graph.node("Concat", free, padded, axis=1)), MoveOffsets)
    assert node_types(model).count("Add") == 2


WINDOWS = {"kernel_shape": [2, 3], "strides": [1, 2], "pads": [0, 1, 2, 1], "dilations": [2, 1]}


@pytest.mark.parametrize("group", [1, 2])
def test_a_convolution_keeps_its_window(group):
    """Kernels, strides, pads and dilations of rows and columns are those of the hardware."""
    graph = QonnxGraph(height=9)
    x = graph.conv(graph.integers(), graph.integer_weights(6, 4 // group, 2, 3), group=group, **WINDOWS)
    conv = same(graph.model(x), PlainConvs).graph.node[-1]
    given = {attribute.name: attribute for attribute in conv.attribute}
    assert {name: list(given[name].ints) for name in WINDOWS} == WINDOWS
    assert given["group"].i == group


@pytest.mark.parametrize(
    "attributes",
    [
        {"group": 4},
        {"group": 2},
        {"dilations": [2, 2]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 1]},
        {"auto_pad": "SAME_UPPER", "dilations": [2, 1]},
        {"auto_pad": "VALID", "strides": [1, 2]},
    ],
)
@pytest.mark.parametrize("binary", [False, True])
def test_groups_and_automatic_padding(attributes, binary):
    graph = QonnxGraph(height=8)
    shape = (4, 4 // attributes.get("group", 1), 3, 3)
    weights = graph.binary_weights(*shape, scale=0.5) if binary else graph.integer_weights(*shape)
    model = same(graph.model(graph.conv(graph.integers(), weights, **attributes)), PlainConvs)
    given = {a.name for a in model.graph.node[-1].attribute}
    assert "auto_pad" not in given


@pytest.mark.parametrize(
    ("kind", "attributes", "pads"),
    [
        ("MaxPool", {"auto_pad": "SAME_UPPER"}, [0, 0, 1, 1]),
        ("MaxPool", {"auto_pad": "SAME_LOWER"}, [1, 1, 0, 0]),
        ("MaxPool", {"ceil_mode": 1, "pads": [1, 0, 0, 0]}, [1, 0, 0, 1]),
        ("AveragePool", {"auto_pad": "SAME_UPPER", "count_include_pad": 1}, [0, 0, 1, 1]),
        ("AveragePool", {"auto_pad": "SAME_UPPER"}, [0, 0, 1, 1]),
        ("AveragePool", {"auto_pad": "VALID"}, [0, 0, 0, 0]),
        ("AveragePool", {"ceil_mode": 1}, [0, 0, 1, 1]),
        ("AveragePool", {"ceil_mode": 1, "pads": [1, 0, 0, 0]}, [1, 0, 0, 1]),
        ("AveragePool", {"ceil_mode": 1, "pads": [1, 0, 0, 0], "count_include_pad": 1}, [0, 0, 0, 1]),
        ("AveragePool", {"ceil_mode": 1, "pads": [1, 1, 1, 1], "count_include_pad": 1}, [0, 0, 1, 1]),
    ],
)
def test_pads_of_pools_are_numbers(kind, attributes, pads):
    graph = QonnxGraph(height=8)
    x = graph.node(kind, graph.integers(), kernel_shape=[3, 3], strides=[2, 2], **attributes)
    pool = same(graph.model(x), Pools).graph.node[-1]
    given = {a.name: a for a in pool.attribute}
    assert list(given["pads"].ints) == pads and not given.keys() & {"auto_pad", "ceil_mode"}


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_pads_with_whole_windows_are_refused(kind):
    graph = QonnxGraph(height=7)
    x = graph.node(kind, graph.integers(), kernel_shape=[3, 2], pads=[0, 0, 0, 2])
    message = r"pads \[0, 0, 0, 2\] hold whole windows of \[3, 2\]; pad less than a window on each side"
    with pytest.raises(NodeRefused, match=rf"{kind}_0 \({kind}\): {message}"):
        graph.model(x).transform(Pools())


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_shapes_of_windows_that_start_behind_the_map_are_refused(kind):
    """onnx counts them at this opset, onnxruntime does not."""
    graph = QonnxGraph(height=7)
    x = graph.node(kind, graph.integers(), kernel_shape=[2, 2], strides=[2, 2], pads=[1] * 4, ceil_mode=1)
    message = "it has 4x4 outputs, and the file's shapes say 5x5; use ceil_mode=0"
    with pytest.raises(NodeRefused, match=rf"{kind}_0 \({kind}\): {message}"):
        graph.model(x).transform(Pools())


@pytest.mark.parametrize("keep", [0, 1])
def test_a_mean_over_pixels(keep):
    graph = QonnxGraph()
    x = graph.node("ReduceMean", graph.integers(), axes=[2, 3], keepdims=keep)
    assert "GlobalAveragePool" in node_types(same(graph.model(x), GlobalPools))


@pytest.mark.parametrize("kind", ["ReduceMean", "ReduceSum", "ReduceMax"])
@pytest.mark.parametrize(("axes", "keep"), [([2, 3], 1), ([-1, -2], 0), ([2], 1), ([3], 1)])
def test_reductions_are_pools(kind, axes, keep):
    graph = QonnxGraph(height=3, width=5)
    if kind == "ReduceSum":
        y = graph.node(kind, graph.node("Mul", "image", 0.5), graph.constant(axes, np.int64), keepdims=keep)
    else:
        y = graph.node(kind, graph.node("Mul", "image", 0.5), axes=axes, keepdims=keep)
    model = same(graph.model(graph.node("Mul", y, 2.0)), GlobalPools)
    assert set(node_types(model)) <= {"Mul", "AveragePool", "GlobalAveragePool", "MaxPool", "Flatten"}


def test_a_maximum_over_all_pixels_is_a_pool():
    graph = QonnxGraph(height=3, width=5)
    model = same(graph.model(graph.node("GlobalMaxPool", graph.node("Mul", "image", 0.5))), GlobalPools)
    assert node_types(model) == ["Mul", "MaxPool"]


@pytest.mark.parametrize(("axes", "keep"), [([1], 1), ([1, 2, 3], 1), ([3], 0)])
def test_other_reductions_are_left(axes, keep):
    graph = QonnxGraph()
    model = graph.model(graph.node("ReduceMean", "image", axes=axes, keepdims=keep))
    assert node_types(model.transform(GlobalPools())) == ["ReduceMean"]


@pytest.mark.parametrize("kind", ["GlobalAveragePool", "AveragePool"])
def test_a_mean_of_any_number_of_pixels_is_on_a_finer_grid(kind):
    graph = QonnxGraph(height=7)
    window = {"kernel_shape": [3, 3], "strides": [2, 2]} if kind == "AveragePool" else {}
    pooled, count = graph.node(kind, graph.integers(), **window), 9 if window else 49
    model = same(graph.model(graph.conv(pooled, graph.integer_weights(3, 4, 1, 1))), ExactGrids)
    grid = grid_of(model, model.graph.node[-1].input[0])
    assert grid.scale == np.float32(0.25 / count) and grid.bits == 5 + (6 if count == 49 else 4)


@pytest.mark.parametrize("padded", [False, True])
def test_a_layer_on_a_concat_is_a_sum(padded):
    graph = QonnxGraph()
    x = graph.node("Concat", graph.integers(), graph.signs(0.3), axis=1)
    x = graph.pad(x, 0.0) if padded else x
    x = graph.conv(x, graph.integer_weights(3, 8, 3, 3), graph.rng.normal(size=3))
    assert node_types(same(graph.model(x), Concats)).count("Conv") == 2


@pytest.mark.parametrize("bipolar", [True, False])
def test_weights_of_a_scale_an_output_that_read_a_concat(bipolar):
    graph = QonnxGraph()
    scales, real = np.float32([0.5, 0.1, 0.3]).reshape(3, 1, 1, 1), graph.rng.normal(size=(3, 8, 3, 3))
    weights = graph.bipolar(real, scales) if bipolar else graph.quant(real, scales, 3, narrow=1)
    x = graph.node("Concat", graph.integers(), graph.signs(0.3), axis=1)
    model = same(graph.model(graph.conv(x, weights, graph.rng.normal(size=3))), Concats)
    assert [node_types(model).count(kind) for kind in ("Conv", "Concat")] == [2, 0]


def test_rows_of_a_scale_an_output_that_read_a_concat():
    graph = QonnxGraph()
    weights = graph.bipolar(graph.rng.normal(size=(128, 5)), np.float32([[0.5, 0.1, 0.3, 0.2, 0.9]]))
    x = graph.node("Concat", *(graph.node("Flatten", part) for part in (graph.integers(), graph.integers(3))), axis=1)
    model = same(graph.model(graph.node("MatMul", x, weights)), Concats)
    assert [node_types(model).count(kind) for kind in ("MatMul", "Concat")] == [2, 0]


@pytest.mark.parametrize("group", [2, 4, 8])
def test_groups_that_read_a_concat_are_split_with_it(group):
    """Groups of several channels, some of which are of both tensors, and of one channel."""
    graph = QonnxGraph()
    x = graph.node("Concat", graph.integers(), graph.signs(0.3), axis=1)
    x = graph.conv(x, graph.integer_weights(8, 8 // group, 3, 3), group=group)
    assert node_types(same(graph.model(x), Concats)).count("Conv") == 2


def test_exact_grids_change_nothing():
    graph = QonnxGraph()
    bits = graph.signs(0.5)
    total = graph.node("Add", bits, graph.integers(bits=4, scale=0.25))
    pooled = graph.node("GlobalAveragePool", graph.node("MaxPool", total, kernel_shape=[2, 2], strides=[2, 2]))
    model = same(graph.model(graph.conv(pooled, graph.integer_weights(3, 4, 1, 1))), ExactGrids)
    assert all(grid_of(model, name) for node in model.graph.node if node.op_type == "Add" for name in node.input)


def test_a_transpose_goes_behind_a_dense_layers_flatten():
    graph = QonnxGraph(channels=3)
    rows = graph.node("Transpose", graph.integers(), perm=[0, 2, 3, 1])
    scaled = graph.quant(graph.node("Mul", rows, np.float32([1.0, 2.0, 3.0])), 0.5, 6)
    x = graph.node("MatMul", graph.node("Flatten", scaled), graph.integer_weights(48, 5))
    assert "Transpose" not in node_types(same(graph.model(x), MoveTransposes))


def _int64(graph, *values):
    return [graph.constant(value, np.int64) for value in values]


IN_ROWS = {  # what stands between maps in NHWC order, and the shape [1, H, W, C] that it gives
    "sum": (lambda g, a, b: g.node("Add", a, b), (4, 4, 3)),
    "largest": (lambda g, a, b: g.node("Max", a, b), (4, 4, 3)),
    "channels side by side": (lambda g, a, b: g.node("Concat", a, b, axis=3), (4, 4, 6)),
    "channels from the end": (lambda g, a, b: g.node("Concat", a, b, axis=-1), (4, 4, 6)),
    "zeros around": (lambda g, a, b: g.pad(g.node("Add", a, b), pads=(0, 1, 2, 0, 0, 0, 1, 0)), (5, 7, 3)),
    "every second column": (
        lambda g, a, b: g.node("Slice", g.node("Add", a, b), *_int64(g, [0], [4], [2], [2])),
        (4, 2, 3),
    ),
    "a part, without axes": (
        lambda g, a, b: g.node("Slice", g.node("Add", a, b), *_int64(g, [0, 1, 0, 1], [1, 4, 4, 3])),
        (3, 4, 2),
    ),
}


@pytest.mark.parametrize("between", IN_ROWS)
def test_what_is_between_maps_in_the_order_of_rows(between):
    graph = QonnxGraph(channels=3)
    kernel = graph.integer_weights(3, 3, 1, 1)
    rows = [graph.node("Transpose", graph.conv(graph.integers(), kernel), perm=[0, 2, 3, 1]) for _ in range(2)]
    function, (height, width, channels) = IN_ROWS[between]
    x = graph.node("Transpose", function(graph, *rows), perm=[0, 3, 1, 2])
    model = same(graph.model(graph.conv(x, graph.integer_weights(5, channels, height, width))), MoveTransposes)
    assert "Transpose" not in node_types(model)


def test_pixels_are_quantized_before_they_are_flattened():
    graph = QonnxGraph()
    flat = graph.node("Flatten", "image")
    x = graph.quant(graph.node("Div", graph.node("Sub", flat, 127.5), 30.0), 0.25, 5)
    model = same(graph.model(graph.node("MatMul", x, graph.integer_weights(64, 5))), FlattenLater)
    assert node_types(model) == ["Sub", "Div", "Quant", "Quant", "Flatten", "MatMul"] or (
        sorted(node_types(model)) == ["Div", "Flatten", "MatMul", "Quant", "Quant", "Sub"]
    )


def test_constants_that_vary_by_position_and_products_are_refused():
    graph = QonnxGraph()
    model = graph.model(graph.node("Add", graph.integers(), graph.rng.normal(size=(1, 4, 4, 4))))
    with pytest.raises(NodeRefused, match=r"Add_0 \(Add\): its constant of shape \[1, 4, 4, 4\] varies by position"):
        model.transform(RefuseUnmapped())
    graph = QonnxGraph()
    with pytest.raises(NodeRefused, match=r"Mul_1 \(Mul\): it multiplies two streams"):
        graph.model(graph.node("Mul", graph.integers(), graph.signs())).transform(RefuseUnmapped())


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.booleans())
def test_all_of_them_on_a_network(seed, bits, unsigned):
    graph = QonnxGraph(channels=3, height=8, seed=seed)
    x = graph.conv(graph.integers(), graph.integer_weights(4, 3, 3, 3), pads=[1] * 4)
    x = graph.node("Relu", graph.batch_norm(x, graph.rng.uniform(0.5, 1.5, 4), 0.2))
    x = graph.quant(x, 0.5, max(bits, 1 + (not unsigned)), signed=int(not unsigned))
    x = graph.conv(x, graph.binary_weights(4, 4, 3, 3, scale=0.3), pads=[1] * 4, strides=[2, 2])
    x = graph.bipolar(graph.batch_norm(x, graph.rng.normal(size=4) + 0.1, 0.1))
    x = graph.node("Gemm", graph.node("Flatten", x), graph.integer_weights(64, 5), np.arange(5.0), alpha=0.5)
    model = graph.model(x)
    before, after = outputs(model), outputs(normalise(copy.deepcopy(model)))
    gain, offset = np.polyfit(after.ravel(), before.ravel(), 1)  # the tail has a scale
    np.testing.assert_allclose(gain * after + offset, before, atol=1e-3 * np.ptp(before))
