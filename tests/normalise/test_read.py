"""What a file of anyone's says wrongly is refused by the name of the node, or does not matter."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from flow.errors import LONGEST_REASON, FlowError, reason_of
from flow.inspection import load_foreign
from flow.normalise import read_file
from flow.reference import file_outputs
from tests.passes.graphs import QUANT_DOMAIN, QonnxGraph, node_types

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 4), np.uint8)


def written(tmp_path, change=lambda model: None):
    """Return a file of Mul, Quant, Conv, Relu and Quant after a change."""
    graph = QonnxGraph()
    x = graph.quant(graph.node("Mul", "image", 0.01), scale=0.125)
    x = graph.node("Conv", x, graph.rng.integers(-3, 4, (5, 4, 3, 3)), kernel_shape=[3, 3])
    model = graph.model(graph.quant(graph.node("Relu", x), scale=0.5)).model
    change(model)
    onnx.save(model, tmp_path / "network.onnx")
    return tmp_path / "network.onnx"


def narrow(node):
    return next(attribute for attribute in node.attribute if attribute.name == "narrow")


def of_kind(model, kind):
    return next(node for node in model.graph.node if node.op_type == kind)


def test_nodes_behind_the_output_are_dropped(tmp_path):
    def change(model):
        output = of_kind(model, "Relu").output[0]
        model.graph.output[0].CopyFrom(helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, 5, 2, 2]))

    whole = file_outputs(written(tmp_path), IMAGES, 0.0, 255.0)
    path = written(tmp_path, change)
    assert node_types(read_file(path)) == ["Mul", "Quant", "Conv", "Relu"]
    real = file_outputs(path, IMAGES, 0.0, 255.0)
    np.testing.assert_array_equal(whole, np.clip(np.rint(real / 0.5), -16, 15) * 0.5)


@pytest.mark.parametrize(
    ("kind", "other", "domain", "match"),
    [
        ("Relu", "Mystery", "", "Relu_0 .Mystery.: ONNX has no such kind of node"),
        ("Relu", "Relu", "nowhere", "Relu_0 .Relu.: the domain 'nowhere' has no such kind"),
        ("Quant", "Flatten", QUANT_DOMAIN, "Quant_0 .Flatten.: the domain 'qonnx.custom_op.general' has no such kind"),
        ("Conv", "Conv", QUANT_DOMAIN, "Conv_0 .Conv.: the domain"),
    ],
)
def test_kinds_that_no_domain_has(kind, other, domain, match, tmp_path):
    def change(model):
        node = of_kind(model, kind)
        node.op_type, node.domain = other, domain

    with pytest.raises(FlowError, match=match):
        load_foreign(written(tmp_path, change))


@pytest.mark.parametrize(
    ("kind", "change", "match"),
    [
        (
            "Quant",
            lambda node: node.attribute.remove(narrow(node)),
            "Quant_0 .Quant. cannot be computed on inputs of 1x4x4x4, one number, .*Required attribute narrow",
        ),
        ("Relu", lambda node: node.attribute.extend([helper.make_attribute("colour", "red")]), "Relu_0 .Relu. cannot"),
    ],
)
def test_nodes_that_cannot_be_computed(kind, change, match, tmp_path):
    with pytest.raises(FlowError, match=match) as refusal:
        load_foreign(written(tmp_path, lambda model: change(of_kind(model, kind))))
    assert "\n" not in str(refusal.value)


def test_a_layer_on_booleans_is_refused(tmp_path):
    def change(model):
        node = of_kind(model, "Quant")
        node.op_type, node.domain = "Greater", ""
        del node.attribute[:], node.input[2:]
        del model.graph.value_info[:]

    with pytest.raises(FlowError, match="Conv_0 .Conv. cannot be computed on inputs of .*bool"):
        load_foreign(written(tmp_path, change))


def test_reasons_of_other_libraries():
    assert reason_of(KeyError("axis")) == "something that it refers to is missing: 'axis'"
    assert reason_of(TypeError("two\n   <class 'numpy.ndarray'> differ")) == "two numpy.ndarray differ"
    assert reason_of(ValueError("[ONNXRuntimeError] : 10 : INVALID_GRAPH : It is odd")) == "It is odd"
    assert len(reason_of(ValueError("x" * 1000))) == LONGEST_REASON


@pytest.mark.parametrize(("low", "high", "bits"), [(-127, 127, 8), (-128, 127, 8), (-7, 7, 4), (-8, 7, 4), (-1, 1, 2)])
def test_clipped_integers_as_brevitas_writes_them(low, high, bits, tmp_path):
    graph, path = QonnxGraph(), tmp_path / "network.onnx"
    integers = graph.rng.integers(-128, 128, (5, 4, 3, 3))
    ends = [graph.constant(value, np.int8) for value in (integers, low, high)]
    weights = graph.node("DequantizeLinear", graph.node("Clip", *ends), 0.5, graph.constant(0, np.int8))
    onnx.save(graph.model(graph.node("Conv", graph.integers(), weights)).model, path)
    model = read_file(path)
    quant = model.find_producer(of_kind(model, "Conv").input[1])
    assert quant.op_type == "Quant" and model.get_initializer(quant.input[3]) == bits
    plain = QonnxGraph()
    same = plain.model(plain.node("Conv", plain.integers(), (integers.clip(low, high) * 0.5).astype(np.float32)))
    onnx.save(same.model, tmp_path / "same.onnx")
    expected = file_outputs(tmp_path / "same.onnx", IMAGES, 0.0, 255.0)
    assert len(np.unique(expected)) > 40
    np.testing.assert_array_equal(file_outputs(path, IMAGES, 0.0, 255.0), expected)


def test_a_shape_of_the_output_that_is_wrong_does_not_matter(tmp_path):
    def change(model):
        model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 7

    right, wrong = load_foreign(written(tmp_path)), load_foreign(written(tmp_path, change))
    assert wrong.get_tensor_shape(wrong.graph.output[0].name) == [1, 5, 2, 2]
    assert node_types(wrong) == node_types(right)
