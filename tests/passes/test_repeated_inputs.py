import pytest
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames

from flow.passes.repeated_inputs import RemoveIdentities, SeparateRepeatedInputs

from .graphs import QonnxGraph, applied, node_types


def repeated(times=2):
    graph = QonnxGraph()
    return graph.model(graph.node("Concat", *[graph.integers()] * times, axis=1))


@pytest.mark.parametrize("times", [2, 3])
def test_every_mention_but_the_first_goes_through_an_identity(times):
    model = applied(repeated(times), SeparateRepeatedInputs)
    assert node_types(model) == ["Sub", "Mul", "Quant"] + ["Identity"] * (times - 1) + ["Concat"]
    assert len(set(model.graph.node[-1].input)) == times


def test_renaming_keeps_the_graph_with_them_and_breaks_it_without():
    rename = GiveUniqueNodeNames, GiveReadableTensorNames
    separated = applied(repeated(), SeparateRepeatedInputs, *rename, RemoveIdentities)
    concat = separated.graph.node[-1]
    assert concat.input[0] == concat.input[1]
    with pytest.raises(KeyError):  # what the pass is for; when qonnx renames all mentions, it can go
        applied(repeated(), *rename)


def test_constants_may_be_repeated():
    graph = QonnxGraph()
    model = graph.model(graph.node("Add", graph.node("Clip", graph.integers(), 2.0, 2.0), "image"))
    clip = model.graph.node[3]
    clip.input[2] = clip.input[1]  # qonnx gives each mention its own copy
    before = model.model.SerializeToString()
    assert applied(model, SeparateRepeatedInputs).model.SerializeToString() == before


def test_identities_go():
    graph = QonnxGraph()
    x = graph.node("Identity", graph.node("Identity", graph.node("Identity", graph.integers())))
    model = graph.model(graph.node("Add", graph.bipolar(x), graph.node("Neg", x)))
    assert node_types(applied(model, RemoveIdentities)) == ["Sub", "Mul", "Quant", "BipolarQuant", "Neg", "Add"]


def test_an_identity_of_the_image_goes():
    graph = QonnxGraph()
    model = graph.model(graph.bipolar(graph.node("Sub", graph.node("Identity", "image"), 127.5)))
    assert node_types(applied(model, RemoveIdentities)) == ["Sub", "BipolarQuant"]


def test_an_identity_at_the_output_stays():
    graph = QonnxGraph()
    model = applied(graph.model(graph.node("Identity", graph.node("Identity", graph.integers()))), RemoveIdentities)
    assert node_types(model) == ["Sub", "Mul", "Quant", "Identity"]
