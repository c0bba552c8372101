import json

import numpy as np
import pytest

from flow.execute import execute_graph
from flow.golden import Golden
from flow.graph import hardware_nodes
from flow.passes import INTEGER_PASSES, PassError, SetWidths, run_pass, to_integers

from .graphs import QonnxGraph, only, random_images


def classifier(bits=5, weight_bits=4, channels=4):
    """Integers of the image through one dense layer to logits."""
    graph = QonnxGraph(channels=channels)
    x = graph.node("Flatten", graph.integers(bits=bits))
    weights = graph.integer_weights(3, channels * 16, bits=weight_bits)
    return graph.model(graph.node("Gemm", x, weights, np.array([0.0, 1.0, -2.0]), transB=1))


def small():
    """Integers through a convolution, a sign and a vote to logits."""
    graph = QonnxGraph(channels=3)
    x = graph.conv(graph.integers(), graph.integer_weights(4, 3, 3, 3), pads=[1] * 4)
    x = graph.quant(x, 0.25, 7, rounding="FLOOR")
    graph.channels = 4
    x = graph.quant(graph.bipolar(graph.binary_conv(graph.bipolar(x))), bits=6)
    graph.channels = 3
    return graph.model(graph.node("Gemm", graph.node("Flatten", x), graph.integer_weights(3, 64), transB=1))


def proto(model, kind):
    """The first node of its kind, to be changed by hand."""
    return next(node for node in model.graph.node if node.op_type == kind)


def attribute(model, kind, name):
    return next(attribute for attribute in proto(model, kind).attribute if attribute.name == name)


@pytest.mark.parametrize("make", [classifier, small])
def test_accumulators_hold_every_sum_and_not_a_bit_more(make):
    exact = make()
    model = to_integers(exact)
    for node in hardware_nodes(model):
        if node.kind != "IntConv":
            continue
        weights, bias, *_ = node.constants
        low, high = -(1 << (node.op.bits - 1)), (1 << (node.op.bits - 1)) - 1
        if node.inputs[0].startswith("SlidingWindow"):
            note = json.loads(model.get_metadata_prop("flow_intervals"))[node.inputs[0]]
            low, high = note[0], note[1]
        ends = np.stack([low * weights, high * weights])
        least, largest = ends.min(axis=0).sum(axis=1), ends.max(axis=0).sum(axis=1)
        least, largest = np.minimum(least, least + bias).min(), np.maximum(largest, largest + bias).max()
        fits = -(1 << (node.op.acc_bits - 1)) <= least and largest < 1 << (node.op.acc_bits - 1)
        narrower = -(1 << (node.op.acc_bits - 2)) <= least and largest < 1 << (node.op.acc_bits - 2)
        assert fits and (not narrower or node.op.acc_bits == node.op.shift + 1)


def test_intervals_hold_what_streams_carry():
    exact = small()
    model, images, streams = to_integers(exact), random_images(exact, 32), {}
    logits = Golden(model).execute(images, streams)
    np.testing.assert_array_equal(logits * float(model.get_metadata_prop("logit_scale")), execute_graph(exact, images))
    notes = json.loads(model.get_metadata_prop("flow_intervals"))
    assert set(notes) == {name for node in hardware_nodes(model) for name in node.outputs}
    for name, (low, high, least, largest) in notes.items():
        assert least <= low <= streams[name].min() and streams[name].max() <= high <= largest, name


def test_it_changes_no_logit():
    exact = classifier()
    model = to_integers(exact)
    images = random_images(exact)
    before = Golden(model).execute(images)
    attribute(model, "IntConv", "acc_bits").i = 60
    model = run_pass(model, SetWidths)
    assert only(model, "IntConv").op.acc_bits < 20
    np.testing.assert_array_equal(Golden(model).execute(images), before)


def replaced(model, kind, position, change):
    """The model with a constant of a node changed by hand: no pass writes such a one."""
    name = proto(model, kind).input[position]
    model.set_initializer(name, change(model.get_initializer(name).astype(np.int64)))
    return model


@pytest.mark.parametrize(
    ("constant", "value", "reaches"), [(2, 100, r"-?\d+\.\.100"), (1, -100, r"-100\.\.\d+")], ids=["above", "below"]
)
def test_a_stream_that_leaves_its_type_is_refused(constant, value, reaches):
    model = replaced(to_integers(small()), "VoteSelect", constant, lambda table: np.full_like(table, value))
    match = rf"VoteSelect_0 \(VoteSelect\): its output reaches {reaches}, but is -32\.\.31"
    with pytest.raises(PassError, match=match):
        run_pass(model, SetWidths)


def test_an_accumulator_of_more_than_64_bits_is_refused():
    """A shift of 64 needs 65; no pass writes such a one."""
    model = to_integers(classifier())
    attribute(model, "IntConv", "shift").i = 64
    match = r"IntConv_0 \(IntConv\): its accumulator reaches -\d+\.\.\d+[:;] use fewer bits"
    with pytest.raises(PassError, match=match):
        run_pass(model, SetWidths)


def test_sums_beyond_64_bits_are_refused():
    model = replaced(to_integers(classifier()), "IntConv", 1, lambda weights: weights << 59)
    with pytest.raises(PassError, match="its accumulator reaches"):
        run_pass(model, SetWidths)


def test_it_is_the_last_pass():
    assert INTEGER_PASSES[-1] is SetWidths
