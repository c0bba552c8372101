import numpy as np
import pytest

from flow.passes import InferChannels, PassError, run_pass, to_integers
from flow.passes.repeated_inputs import RemoveIdentities, SeparateRepeatedInputs

from .graphs import QonnxGraph, applied, assert_refused, kinds, node_types, only


def sliced(graph, x, *bounds):
    """Slice with starts, ends and, where given, axes and steps."""
    return graph.node("Slice", x, *(graph.constant(np.atleast_1d(bound), np.int64) for bound in bounds))


@pytest.mark.parametrize("ratio", [1, 2, 3, 6])
@pytest.mark.parametrize("signs", [False, True])
def test_every_r_th_channel_is_a_sample(ratio, signs):
    graph = QonnxGraph(channels=6)
    model = graph.model(sliced(graph, graph.signs(0.5) if signs else graph.integers(), 0, 6, 1, ratio))
    model = applied(model, InferChannels)
    assert node_types(model)[-3:] == ["ToStream", "Sample", "FromStream"]
    op = only(model, "Sample").op
    assert (op.ratio, op.p, op.channels, op.bits) == (ratio, ratio, 6, 1 if signs else 5)


def test_an_end_beyond_the_channels():
    graph = QonnxGraph()
    model = graph.model(sliced(graph, graph.integers(), 0, np.iinfo(np.int64).max, 1, 2))
    assert kinds(applied(model, InferChannels)) == ["Sample"]


def test_a_sample_of_a_dense_tensor():
    graph = QonnxGraph(channels=2, height=2)
    model = graph.model(sliced(graph, graph.node("Flatten", graph.integers()), 0, 8, 1, 4))
    assert only(applied(model, InferChannels), "Sample").op.channels == 8


@pytest.mark.parametrize("bounds", [(1, 6, 1, 2), (0, 4, 1, 2), (0, 6, 1, 4), (0, 4, 2, 2)])
def test_another_slice_is_refused(bounds):
    graph = QonnxGraph(channels=6)
    model = graph.model(sliced(graph, graph.integers(), *bounds))
    assert_refused(model, InferChannels, r"Slice_0 \(Slice, .*only every r-th channel from the first on is mapped")


@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("signs", [False, True])
def test_channels_behind_themselves_are_repeated(times, signs):
    graph = QonnxGraph()
    x = graph.signs() if signs else graph.integers()
    model = applied(graph.model(graph.node("Concat", *[x] * times, axis=1)), InferChannels)
    assert node_types(model)[-3:] == ["ToStream", "RepeatChannels", "FromStream"]
    op = only(model, "RepeatChannels").op
    assert (op.times, op.channels, op.bits) == (times, 4, 1 if signs else 5)


def test_repeated_inputs_that_were_separated_are_found():
    graph = QonnxGraph()
    x = graph.integers()
    model = graph.model(graph.node("Concat", x, x, axis=1))
    model = run_pass(model, SeparateRepeatedInputs)
    assert kinds(applied(model, RemoveIdentities, InferChannels)) == ["RepeatChannels"]


@pytest.mark.parametrize("axis", [2, 3])
def test_repeated_pixels_are_refused(axis):
    graph = QonnxGraph()
    x = graph.integers()
    model = graph.model(graph.node("Concat", x, x, axis=axis))
    assert_refused(model, InferChannels, r"Concat_0 \(Concat, .*only channels behind themselves are mapped")


def test_two_tensors_are_refused():
    graph = QonnxGraph()
    x = graph.integers()
    model = graph.model(graph.node("Concat", x, graph.quant(graph.node("Neg", x)), axis=1))
    assert_refused(model, InferChannels, r"Concat_0 .*only channels behind themselves are mapped")


def test_real_tensors_are_left_alone():
    graph = QonnxGraph()
    x = graph.node("Sigmoid", graph.integers())
    model = graph.model(graph.node("Concat", sliced(graph, x, 0, 4, 1, 2), sliced(graph, x, 0, 4, 1, 2), axis=1))
    assert kinds(applied(model, InferChannels)) == []


@pytest.mark.parametrize("bounds", [(0, 2, 1), (0, 1)], ids=["without steps", "without axes and steps"])
def test_a_slice_without_all_its_inputs_is_refused(bounds):
    graph = QonnxGraph()
    with pytest.raises(PassError, match="Slice_0"):
        to_integers(graph.model(sliced(graph, graph.integers(), *bounds)))
