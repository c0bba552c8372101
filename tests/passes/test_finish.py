import copy

import numpy as np
import pytest

from flow.execute import execute_graph
from flow.golden import Golden
from flow.graph import hardware_nodes
from flow.passes import (
    REAL_PASSES,
    NameStreams,
    PassError,
    RemoveDeadNodes,
    RequireIntegers,
    StreamBoundaries,
    run_pass,
)
from flow.passes.finish import refusals

from .graphs import QonnxGraph, applied, node_types, random_images

# RemoveDeadNodes


def test_nodes_that_nobody_reads_go_with_what_only_they_read():
    graph = QonnxGraph()
    x = graph.integers()
    graph.node("Sigmoid", graph.node("Mul", x, 2.0))
    graph.binary_weights(4, 4)
    model = applied(graph.model(graph.bipolar(x)), RemoveDeadNodes)
    assert node_types(model) == ["Sub", "Mul", "Quant", "BipolarQuant"]
    read = {name for node in model.graph.node for name in node.input}
    assert {tensor.name for tensor in model.graph.initializer} == read - {
        "image",
        "Sub_0_out",
        "Mul_0_out",
        "Quant_0_out",
    }


def test_one_output_that_is_read_keeps_a_node():
    graph = QonnxGraph()
    x = graph.node("Split", graph.integers(), graph.constant([2, 2], np.int64), axis=1)
    graph.nodes[-1].output.append("the rest")
    assert node_types(applied(graph.model(graph.node("Neg", x)), RemoveDeadNodes))[-2:] == ["Split", "Neg"]


def test_the_output_counts_as_read():
    graph = QonnxGraph()
    x = graph.node("Sigmoid", graph.integers())
    graph.node("Mul", x, 2.0)
    assert node_types(applied(graph.model(x), RemoveDeadNodes))[-1] == "Sigmoid"


# NameStreams


def integer_graph():
    """Two kinds twice, a fork, and logits; before the names."""
    graph = QonnxGraph(channels=2)
    x = graph.bipolar(graph.integers())
    branches = [graph.quant(graph.node("Mul", x, gain), bits=4) for gain in (0.5, 1.0)]
    x = graph.quant(graph.node("Add", *branches), bits=5)
    exact = graph.model(graph.node("Gemm", graph.node("Flatten", x), graph.integer_weights(3, 32), transB=1))
    return run_pass(after_all(copy.deepcopy(exact)), StreamBoundaries), exact


def after_all(model):
    """The model after the passes on real graphs."""
    for rewrite in REAL_PASSES:
        model = run_pass(model, rewrite)
    return model


def test_nodes_and_streams_are_named_by_their_kind_and_index():
    model, _ = integer_graph()
    model = run_pass(model, NameStreams)
    names = "ValueTable_0 SignThreshold_0 Duplicate_0 VoteSelect_0 VoteSelect_1 AddStreams_0 SlidingWindow_0 IntConv_0"
    assert [node.name for node in model.graph.node] == names.split()
    nodes = {node.name: node for node in hardware_nodes(model)}
    assert nodes["ValueTable_0"].inputs == ("pixels",) and nodes["ValueTable_0"].outputs == ("ValueTable_0_out",)
    assert nodes["Duplicate_0"].outputs == ("Duplicate_0_out0", "Duplicate_0_out1")
    assert set(nodes["AddStreams_0"].inputs) == {"VoteSelect_0_out", "VoteSelect_1_out"}
    assert nodes["IntConv_0"].outputs == ("logits",)
    constants = ["IntConv_0_constant0", "IntConv_0_constant1"]
    assert list(model.graph.node[-1].input) == ["SlidingWindow_0_out", *constants]
    assert (model.graph.input[0].name, model.graph.output[0].name) == ("pixels", "logits")


def test_names_change_no_logit():
    model, exact = integer_graph()
    images = random_images(exact)
    before = Golden(model).execute(images)
    np.testing.assert_array_equal(Golden(run_pass(model, NameStreams)).execute(images), before)
    scale = float(model.get_metadata_prop("logit_scale"))
    np.testing.assert_array_equal(before * scale, execute_graph(exact, images))


# RequireIntegers


def listing(model) -> list[str]:
    """The lines of the message."""
    with pytest.raises(PassError) as error:
        run_pass(model, RequireIntegers)
    return str(error.value).split("\n")


def test_an_integer_graph_passes():
    model, _ = integer_graph()
    before = model.model.SerializeToString()
    assert run_pass(model, RequireIntegers).model.SerializeToString() == before


def test_every_node_to_blame_has_a_line_and_the_others_are_counted():
    """Faults on two branches; the quantizers behind them only suffer."""
    graph = QonnxGraph()
    x = graph.integers()
    one = graph.quant(graph.node("Softmax", x))
    two = graph.quant(graph.binary_conv(graph.bipolar(x), pad=0.5))
    model = after_all(graph.model(graph.quant(graph.node("Add", one, two))))
    assert listing(model) == [
        "these nodes have no integer form:",
        "  Softmax_0 (Softmax, 1x4x4x4): no hardware node does this; leave it out, or compute it on the host",
        "  Conv_0 (Conv, 1x4x4x4): padding with 0.5: pad with 0 or with a value of the input, +-1",
        "  and 2 nodes behind these",
    ]
    assert [(row["name"], row["type"], row["shape"], row["way"]) for row in refusals(model)] == [
        ("Softmax_0", "Softmax", "1x4x4x4", "leave it out, or compute it on the host"),
        ("Conv_0", "Conv", "1x4x4x4", ""),
    ]


def test_a_refusal_behind_another_is_listed_too():
    """A pass refused it for what it is itself."""
    graph = QonnxGraph()
    x = graph.node("Sigmoid", graph.integers())
    model = after_all(graph.model(graph.node("MaxPool", x, kernel_shape=[3, 3])))
    assert listing(model)[1:] == [
        "  Sigmoid_0 (Sigmoid, 1x4x4x4): no hardware node does this; leave it out, or compute it on the host",
        "  MaxPool_0 (MaxPool, 1x4x2x2): its input is not quantized; put a quantizer in front of it",
    ]


@pytest.mark.parametrize(
    ("last", "line"),
    [
        (
            lambda graph, x: graph.conv(x, graph.rng.normal(size=(5, 4, 1, 1))),
            "  Conv_0 (Conv, 1x5x4x4): its input or weights are not quantized with one scale a tensor; "
            "quantize both with one scale a tensor",
        ),
        (
            lambda graph, x: graph.node("Gemm", graph.node("Flatten", x), graph.rng.normal(size=(64, 5))),
            "  Gemm_0 (Gemm, 1x5): its input or weights are not quantized with one scale a tensor; "
            "quantize both with one scale a tensor",
        ),
        (
            lambda graph, x: graph.batch_norm(x, [1, 2, 3, 4]),
            "  BatchNormalization_0 (BatchNormalization, 1x4x4x4): it is not followed by a quantizer; "
            "put a quantizer behind it",
        ),
        (
            lambda graph, x: graph.node("Tanh", x),
            "  Tanh_0 (Tanh, 1x4x4x4): no hardware node does this; leave it out, or compute it on the host",
        ),
    ],
    ids=["Conv", "Gemm", "BatchNormalization", "Tanh"],
)
def test_hints(last, line):
    graph = QonnxGraph()
    assert listing(after_all(graph.model(last(graph, graph.integers())))) == ["these nodes have no integer form:", line]


def test_a_real_matmul_has_the_hint_of_a_gemm():
    graph = QonnxGraph()
    x = graph.node("MatMul", graph.node("Flatten", graph.integers()), graph.rng.normal(size=(64, 5)))
    assert "not quantized" in listing(after_all(graph.model(x)))[1]


def test_a_list_is_never_empty():
    graph = QonnxGraph()
    assert "Flatten_0" in listing(after_all(graph.model(graph.node("Flatten", graph.integers()))))[1]
