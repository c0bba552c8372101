import numpy as np

from flow.execute import execute_graph
from flow.passes import InferXnorPopcount, run_pass
from flow.passes.fold_constants import FoldConstants

from .graphs import QonnxGraph, applied, kinds, node_types, random_images


def test_a_chain_of_constants_is_one_constant():
    graph = QonnxGraph()
    shift = graph.node("Add", graph.node("Mul", 2.0, np.float32([1, 2, 3, 4])), 0.5)
    shift = graph.node("Reshape", shift, graph.constant([1, 4, 1, 1], np.int64))
    model = applied(graph.model(graph.bipolar(graph.node("Sub", graph.integers(), shift))), FoldConstants)
    assert node_types(model) == ["Sub", "Mul", "Quant", "Sub", "BipolarQuant"]
    np.testing.assert_array_equal(model.get_initializer(shift).ravel(), [2.5, 4.5, 6.5, 8.5])


def test_integers_stay_integers():
    """The pads of a Pad, as exporters put them together; flow.execute runs it only once they are constants."""

    def padded(fold: bool):
        graph = QonnxGraph()
        half = graph.constant([0, 0, 1, 1], np.int64)
        pads = graph.node("Concat", half, half, axis=0) if fold else graph.constant([0, 0, 1, 1] * 2, np.int64)
        x = graph.node("Pad", graph.signs(), pads, -1.0)
        return graph.model(graph.bipolar(graph.conv(x, graph.binary_weights(4, 4, 3, 3))))

    model, wanted = run_pass(padded(True), FoldConstants), padded(False)
    assert node_types(model) == node_types(wanted)
    pads = model.get_initializer(next(node for node in model.graph.node if node.op_type == "Pad").input[1])
    assert pads.dtype == np.int64 and pads.tolist() == [0, 0, 1, 1] * 2
    images = random_images(wanted)
    np.testing.assert_array_equal(execute_graph(model, images), execute_graph(wanted, images))


def test_several_outputs():
    graph = QonnxGraph()
    graph.node("Split", np.arange(8.0).reshape(1, 8, 1, 1), graph.constant([4, 4], np.int64), axis=1)
    graph.nodes[-1].output[:] = ["first", "second"]
    x = graph.node("Sub", graph.node("Mul", graph.integers(), "first"), "second")
    model = applied(graph.model(graph.bipolar(x)), FoldConstants)
    assert "Split" not in node_types(model)
    np.testing.assert_array_equal(model.get_initializer("second").ravel(), [4, 5, 6, 7])


def test_quantizers_of_constants_stay():
    """They say how the weights are quantized, and what is made of them is no constant then."""
    graph = QonnxGraph()
    weights = graph.node("Transpose", graph.binary_weights(8, 64), perm=[1, 0])
    model = graph.model(graph.quant(graph.node("MatMul", graph.node("Flatten", graph.signs()), weights)))
    before = model.model.SerializeToString()
    assert applied(model, FoldConstants).model.SerializeToString() == before


def test_weights_that_are_computed_before_their_quantizer():
    graph = QonnxGraph()
    weights = graph.node("Mul", graph.rng.choice([-1.0, 1.0], (4, 4, 3, 3)), 3.0)
    x = graph.bipolar(graph.conv(graph.pad(graph.signs(), -1.0), graph.bipolar(weights)))
    model = applied(graph.model(x), FoldConstants, InferXnorPopcount)
    assert kinds(model) == ["SlidingWindow", "XnorPopcount"]
