import numpy as np
import pytest

from flow.execute import execute_graph
from flow.golden import Golden
from flow.graph import hardware_nodes
from flow.passes import (
    InferIntConv,
    InferPixelOffset,
    InferSignThreshold,
    InferVoteSelect,
    InferXnorPopcount,
    InsertDuplicates,
    JoinStreams,
    PassError,
    RemoveDeadNodes,
    StreamBoundaries,
    run_pass,
    to_integers,
)

from .graphs import QonnxGraph, applied, kinds, node_types, only, random_images

INFER = (InferPixelOffset, InferSignThreshold, InferXnorPopcount, InferVoteSelect, InferIntConv)


def inferred(graph, output):
    """The graph after the passes that infer nodes, with a pair of FromStream and ToStream between any two."""
    model = graph.model(output)
    for rewrite in INFER:
        model = run_pass(model, rewrite)
    return run_pass(model, RemoveDeadNodes)


def classified(graph, x):
    """A dense layer to logits."""
    size = graph.channels * graph.height * graph.width
    return graph.node("Gemm", graph.node("Flatten", x), graph.integer_weights(3, size), transB=1)


# JoinStreams


def test_streams_are_joined():
    graph = QonnxGraph()
    model = inferred(graph, classified(graph, graph.quant(graph.bipolar(graph.integers()))))
    boundaries = [kind for kind in node_types(model) if kind.endswith("Stream")]
    assert boundaries == ["ToStream", "FromStream"] * 4
    model = applied(model, JoinStreams)
    joined = "ToStream ValueTable SignThreshold VoteSelect SlidingWindow IntConv FromStream"
    assert node_types(model) == joined.split()


def test_a_flatten_of_one_pixel_is_no_node():
    graph = QonnxGraph(height=1)
    flat = graph.node("Flatten", graph.integers())
    model = inferred(graph, graph.bipolar(flat))
    assert "Flatten" in node_types(model)
    assert node_types(applied(model, JoinStreams)) == ["ToStream", "ValueTable", "SignThreshold", "FromStream"]


def test_all_readers_of_a_stream_are_joined():
    """One FromStream that two ToStreams read goes when the second of them has gone."""
    graph = QonnxGraph()
    x = graph.integers()
    signs = graph.quant(graph.bipolar(x))
    model = inferred(graph, graph.node("Add", signs, graph.quant(graph.bipolar(graph.node("Sub", x, 1.0)))))
    model = applied(model, JoinStreams)
    branch = "SignThreshold VoteSelect FromStream"
    assert node_types(model) == f"ToStream ValueTable {branch} {branch} Add".split()


def test_a_real_reader_keeps_its_own_boundary():
    graph = QonnxGraph()
    x = graph.integers()
    model = inferred(graph, graph.node("Add", graph.node("Sigmoid", x), graph.bipolar(x)))
    model = applied(model, JoinStreams)
    joined = "ToStream ValueTable FromStream Sigmoid SignThreshold FromStream Add"
    assert node_types(model) == joined.split()


def refusal_of_the_second_reader(model) -> str:
    with pytest.raises(PassError) as error:
        JoinStreams().rewrite(model, [node for node in model.graph.node if node.op_type == "ToStream"][1])
    return str(error.value)


def test_the_output_of_the_graph_keeps_its_boundary():
    """A node that reads it too, and that nobody reads, is still there when streams are joined."""
    graph = QonnxGraph()
    x = graph.integers()
    graph.bipolar(x)
    model = applied(graph.model(x), InferPixelOffset, InferSignThreshold, JoinStreams)
    assert sorted(node_types(model)) == sorted(["ToStream", "ValueTable", "FromStream", "SignThreshold", "FromStream"])


def test_a_stream_that_is_read_at_another_scale_is_refused():
    """No pass writes such a pair: each reads the scale of a tensor from the node that made it."""
    graph = QonnxGraph()
    model = inferred(graph, graph.bipolar(graph.integers()))
    reader = [node for node in model.graph.node if node.op_type == "ToStream"][1]
    next(a for a in reader.attribute if a.name == "scale").f = 0.5
    assert "(ToStream): a stream of scale 0.25 is read at 0.5" in refusal_of_the_second_reader(model)


def test_a_map_that_is_read_as_one_row_is_refused():
    graph = QonnxGraph(channels=2, height=2)
    model = inferred(graph, graph.bipolar(graph.node("Flatten", graph.integers())))
    assert "a stream of shape [1, 2, 2, 2] is read as [1, 1, 1, 8]" in refusal_of_the_second_reader(model)


def test_a_map_that_is_read_as_one_row_is_listed():
    graph = QonnxGraph(channels=2, height=2)
    with pytest.raises(PassError, match="is read as"):
        to_integers(graph.model(graph.bipolar(graph.node("Flatten", graph.integers()))))


# InsertDuplicates


def forked(readers: int):
    """One stream of signs with several readers, whose logits are added as reals."""
    graph = QonnxGraph(channels=2, height=2, seed=readers)
    x = graph.bipolar(graph.integers())
    selected = [graph.quant(graph.node("Mul", x, 0.25 * (i + 1))) for i in range(readers)]
    total = selected[0]
    for branch in selected[1:]:
        total = graph.node("Add", total, branch)
    return run_pass(inferred(graph, total), JoinStreams)


@pytest.mark.parametrize("readers", [2, 3, 4])
def test_every_reader_has_its_own_stream(readers):
    model = forked(readers)
    assert kinds(model).count("Duplicate") == 0
    model = applied(model, InsertDuplicates)
    assert kinds(model).count("Duplicate") == readers - 1
    read = [name for node in hardware_nodes(model) for name in node.inputs]
    assert len(read) == len(set(read))
    duplicates = [node for node in hardware_nodes(model) if node.kind == "Duplicate"]
    assert {node.op.bits for node in duplicates} == {1}
    assert len({node.name for node in duplicates}) == readers - 1
    # a Duplicate stands behind what it reads
    known = {model.graph.input[0].name}
    for node in model.graph.node:
        assert all(name in known or model.get_initializer(name) is not None for name in node.input)
        known |= set(node.output)


def test_one_reader_needs_no_duplicate():
    model = forked(1)
    assert kinds(applied(model, InsertDuplicates)) == kinds(model)


def test_a_stream_of_integers_has_its_bits():
    graph = QonnxGraph()
    x = graph.quant(graph.bipolar(graph.integers()), bits=7)
    model = inferred(graph, graph.node("Add", graph.bipolar(x), graph.bipolar(graph.node("Sub", x, 0.5))))
    model = applied(run_pass(model, JoinStreams), InsertDuplicates)
    assert only(model, "Duplicate").op.bits == 7


def test_a_tensor_that_is_added_to_itself():
    graph = QonnxGraph()
    x = graph.integers()
    model = graph.model(classified(graph, graph.quant(graph.node("Add", x, x))))
    integer = to_integers(model)
    images = random_images(model)
    logits = Golden(integer).execute(images) * float(integer.get_metadata_prop("logit_scale"))
    np.testing.assert_array_equal(logits, execute_graph(model, images))


# StreamBoundaries


def test_pixels_and_logits_are_integers():
    graph = QonnxGraph(channels=3)
    exact = graph.model(classified(graph, graph.integers()))
    model = run_pass(inferred(graph, exact.graph.output[0].name), JoinStreams)
    before = node_types(model)
    model = run_pass(model, StreamBoundaries)
    assert node_types(model) == before[1:-1]
    pixels, logits = model.graph.input[0].name, model.graph.output[0].name
    assert model.get_tensor_shape(pixels) == [1, 4, 4, 3] and model.get_tensor_shape(logits) == [1, 1, 1, 3]
    assert (model.get_tensor_datatype(pixels).name, model.get_tensor_datatype(logits).name) == ("UINT8", "INT32")
    images = random_images(exact)
    scale = float(model.get_metadata_prop("logit_scale"))
    np.testing.assert_array_equal(Golden(model).execute(images) * scale, execute_graph(exact, images))


@pytest.mark.parametrize("end", ["image", "logits"])
def test_a_graph_with_a_real_end_stays(end):
    graph = QonnxGraph()
    if end == "image":
        x = graph.integers()
        model = graph.model(graph.node("Sigmoid", x))
        model = run_pass(model, InferPixelOffset)
    else:
        model = run_pass(graph.model(classified(graph, graph.integers())), InferIntConv)
    before = model.model.SerializeToString()
    assert run_pass(model, StreamBoundaries).model.SerializeToString() == before
