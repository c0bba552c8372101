"""What holds for every pass.

A second application changes nothing, and a graph without the pass's pattern stays as it is, byte for byte.
"""

from pathlib import Path

import numpy as np
import pytest
from qonnx.transformation.general import SortGraph

import flow.passes
from flow.execute import execute_graph
from flow.golden import Golden
from flow.passes import (
    INTEGER_PASSES,
    REAL_PASSES,
    InferPixelOffset,
    NameStreams,
    RequireIntegers,
    SetWidths,
    run_pass,
    to_integers,
)
from flow.passes.fold_constants import FoldConstants
from flow.passes.repeated_inputs import RemoveIdentities, SeparateRepeatedInputs

from .graphs import QonnxGraph, kinds, random_images

SLOPES = np.full((4, 1, 1), 0.25)
PASSES = (FoldConstants, SeparateRepeatedInputs, RemoveIdentities, *REAL_PASSES, *INTEGER_PASSES)


def raw_network():
    """A graph with the pattern of every pass: stem, binary block, residual, activations, pools, channels, logits."""
    graph = QonnxGraph(channels=4, height=8)
    x = graph.conv(graph.integers(), graph.integer_weights(4, 4, 3, 3), pads=[1] * 4)
    x = graph.quant(graph.node("Mul", x, graph.node("Mul", 0.5, 0.5)), 0.25, 7, rounding="FLOOR")
    x = graph.quant(graph.conv(x, graph.integer_weights(4, 1, 3, 3, scale=0.5), group=4, pads=[1] * 4), 0.25, 7)
    votes = graph.bipolar(graph.batch_norm(graph.binary_conv(graph.bipolar(x)), [1, 2, 3, 4], [0.1, 2, -2, 1]))
    main = graph.quant(graph.batch_norm(votes, [1, 2, 3, 4]), 0.25, 7)
    x = graph.quant(graph.node("Add", main, x), 0.25, 7)
    x = graph.quant(graph.node("PRelu", x, SLOPES), 0.25, 7, rounding="FLOOR")
    x = graph.quant(graph.node("PRelu", graph.node("Identity", x), SLOPES * 1.3), 0.25, 7)
    x = graph.quant(graph.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2]), 0.25, 7, rounding="FLOOR")
    x = graph.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = graph.node("Concat", x, x, axis=1)
    x = graph.node("Slice", x, *(graph.constant([value], np.int64) for value in (0, 8, 1, 2)))
    graph.node("Sigmoid", x)  # that nobody reads
    x = graph.quant(graph.node("GlobalAveragePool", x), 0.25, 7, rounding="FLOOR")
    x = graph.node("Gemm", graph.node("Flatten", x), graph.integer_weights(3, 4), transB=1)
    return graph.model(x)


def before(rewrite):
    """The network as the pass finds it."""
    model = raw_network()
    for previous in PASSES[: PASSES.index(rewrite)]:
        model = run_pass(model, previous)
    return model


def test_the_network_has_the_pattern_of_every_pass():
    exact = run_pass(raw_network(), FoldConstants)
    model = to_integers(exact)
    expected = "ValueTable SlidingWindow IntConv SignThreshold XnorPopcount VoteSelect Duplicate AddStreams RPReLU"
    expected += " AvgPool MaxPool RepeatChannels Sample GlobalPool ReduceWindow"
    assert set(kinds(model)) == set(expected.split())
    images = random_images(exact, 32)
    logits = execute_graph(exact, images)
    assert len(np.unique(logits, axis=0)) > 8
    integers = Golden(model).execute(images) * float(model.get_metadata_prop("logit_scale"))
    # halves that round to even at the PReLU and in the stem, which the metadata note
    assert np.abs(integers - logits).max() < 0.1 * np.ptp(logits)


@pytest.mark.parametrize("rewrite", PASSES, ids=lambda rewrite: rewrite.__name__)
def test_a_second_application_changes_nothing(rewrite):
    model = before(rewrite)
    untouched = model.model.SerializeToString()
    model = run_pass(model, rewrite)
    once = model.model.SerializeToString()
    if rewrite not in (SortGraph, RequireIntegers):  # the graph is sorted, and made of integers, already
        assert once != untouched, "the network has nothing for this pass"
    assert run_pass(model, rewrite).model.SerializeToString() == once


def foreign():
    """A graph of nodes that no pass knows, and of the known ones that are real."""
    graph = QonnxGraph(height=8)
    x = graph.node("Sigmoid", "image")
    x = graph.conv(x, graph.rng.normal(size=(4, 4, 3, 3)), pads=[1] * 4)
    x = graph.node("PRelu", graph.batch_norm(x, [1, 2, 3, 4]), SLOPES)
    x = graph.node("Mul", graph.node("Softmax", x), graph.node("Tanh", x))
    x = graph.node("Gemm", graph.node("Flatten", x), graph.rng.normal(size=(3, 256)), transB=1)
    return graph.model(x)


def integers():
    """A graph that the whole list has gone over."""
    graph = QonnxGraph()
    x = graph.quant(graph.bipolar(graph.integers()))
    return to_integers(
        graph.model(graph.node("Gemm", graph.node("Flatten", x), graph.integer_weights(3, 64), transB=1))
    )


@pytest.mark.parametrize("rewrite", PASSES, ids=lambda rewrite: rewrite.__name__)
def test_a_graph_without_its_pattern_stays(rewrite):
    """NameStreams, RequireIntegers and SetWidths take no foreign graph: theirs is one that they have seen already."""
    model = integers() if rewrite in (NameStreams, RequireIntegers, SetWidths) else foreign()
    untouched = model.model.SerializeToString()
    model = run_pass(model, rewrite)
    if rewrite is InferPixelOffset:  # every image is something for it: it notes that it refuses this one
        assert model.get_metadata_prop("flow_refusals") is not None
        del model.graph.metadata_props[:]
    assert model.model.SerializeToString() == untouched


def test_every_pass_has_its_file():
    """flow/passes/<name>.py has tests/passes/test_<name>.py, pass or not."""
    sources = {path.stem for path in Path(flow.passes.__file__).parent.glob("*.py")} - {"__init__"}
    tests = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")} - {"every_pass"}
    assert tests == sources
