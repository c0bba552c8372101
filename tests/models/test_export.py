"""The exported QONNX graph, executed by qonnx, against PyTorch."""

import numpy as np
import onnx
import pytest
import torch
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.util.cleanup import cleanup_model

from brevitas_models.config import STRATEGIES, NetworkConfig
from brevitas_models.errors import ModelError
from brevitas_models.export import export
from brevitas_models.networks import build_network

from .networks import lived_in

BATCH = 64


@pytest.fixture(scope="module", params=STRATEGIES)
def exported(request, tmp_path_factory):
    """(network, file, cleaned graph for 64 images)"""
    path = tmp_path_factory.mktemp("export") / "network.onnx"
    network = lived_in(request.param)
    export(network, path, batch=BATCH)
    return network, path, cleanup_model(ModelWrapper(str(path)))


def test_every_logit_is_equal(exported, pixels):
    network, _, graph = exported
    found = execute_onnx(graph, {graph.graph.input[0].name: pixels.numpy()})[graph.graph.output[0].name]
    with torch.no_grad():
        expected = network(pixels).numpy()
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(expected)) > 100


def test_only_standard_quantizers_are_exported(exported):
    network, _, graph = exported
    types = {node.op_type for node in graph.graph.node}
    assert {"Quant", "BipolarQuant", "Conv"} <= types
    assert {node.domain for node in graph.graph.node if "Quant" in node.op_type} == {"qonnx.custom_op.general"}
    assert not types & {"BatchNormalization", "Div"}
    # a sign a block and, with votes, a vote a block; its weight too, unless constants were folded
    activations = [
        node
        for node in graph.graph.node
        if node.op_type == "BipolarQuant" and graph.get_initializer(node.input[0]) is None
    ]
    assert len(activations) == 16 * (1 if network.config.strategy == "none" else 2)


@pytest.mark.parametrize("message, said", [("no", "no"), ("", "RuntimeError")])
def test_a_failed_export_leaves_nothing(tmp_path, monkeypatch, message, said):
    def fail(*_, **__):
        raise RuntimeError(message)

    monkeypatch.setattr("brevitas_models.export.export_qonnx", fail)
    with pytest.raises(ModelError, match=f"cannot be exported to QONNX: {said}$"):
        export(lived_in(), tmp_path / "network.onnx")
    assert list(tmp_path.iterdir()) == []


def test_raw_export_has_named_ends_and_no_constant_arithmetic(exported):
    path = exported[1]
    graph = onnx.load(path).graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value.name for value in graph.input if value.name not in constants]
    assert (inputs, [value.name for value in graph.output]) == (["pixels"], ["logits"])
    assert [node.op_type for node in graph.node if not node.domain and constants.issuperset(node.input)] == []
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_no_hardware_is_made_of_a_teacher(tmp_path):
    twin = build_network(NetworkConfig(model="twin18", strategy="none", width=4))
    with pytest.raises(ModelError, match="twin18 is a float network, a teacher, and no 1-bit one"):
        export(twin, tmp_path / "network.onnx")
    assert not list(tmp_path.iterdir())
