"""Every strategy, network, voter, shortcut and padding: PyTorch = QONNX = integers, on every logit."""

import tempfile
from pathlib import Path

import numpy as np
import pytest

from brevitas_models.config import NetworkConfig
from brevitas_models.export import export
from brevitas_models.networks import BnnCifar10
from flow.compile import load_export
from flow.execute import execute_graph
from flow.golden import Golden
from flow.graph import hardware_nodes
from flow.passes import INTEGER_PASSES, REAL_PASSES, run_pass
from flow.steps.export import torch_logits

from .small import Layer, SmallNetwork, random_images, settle

PLAIN = (Layer(), Layer(stride=2))
SIZE = 16
VARIANTS = {
    "qat": {},
    "none": {"strategy": "none"},
    "none-zero": {"strategy": "none", "padding": "zero"},
    "simple-qat": {"strategy": "simple-qat"},
    "plus_one": {"padding": "plus_one"},
    "zero": {"padding": "zero"},
    "binary-shortcut": {"shortcut": "binary"},
    "duplicate": {"shortcut": "duplicate"},
    "maj3": {"voter": "maj3"},
    "nine-taps": {"voter": "hierarchical(9)"},
    "nine-taps-ties": {"voter": "hierarchical(9,+-)"},
    "sixteen-ties": {"voter": "hierarchical(16,-+)"},
    "short-group": {"voter": "hierarchical(28,--)"},
    "sampled": {"voter": "sample(2)"},
    "learned": {"threshold": "learned"},
    "mean": {"threshold": "mean"},
    "learned-zero": {"threshold": "learned", "padding": "zero"},
    "wide-residual": {"residual_bits": 10, "residual_fraction": 5},
}


def compile_and_compare(network, images):
    """Compares PyTorch, the export, each pass and golden; returns the integer graph."""
    reference = torch_logits(network, images)
    assert len(np.unique(reference, axis=0)) > len(images) // 2  # no constant network
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        export(network, path, size=images.shape[1])
        model = load_export(path)
    np.testing.assert_array_equal(execute_graph(model, images), reference, err_msg="export")
    for rewrite in REAL_PASSES:
        model = run_pass(model, rewrite)
        np.testing.assert_array_equal(execute_graph(model, images), reference, err_msg=rewrite.__name__)
    for rewrite in INTEGER_PASSES:
        model = run_pass(model, rewrite)
    logits = Golden(model).execute(images)
    np.testing.assert_array_equal(logits * float(model.get_metadata_prop("logit_scale")), reference, err_msg="golden")
    return model


def kinds(model):
    return {node.kind for node in hardware_nodes(model)}


@pytest.mark.parametrize("name", VARIANTS)
def test_residual_network(name):
    images = random_images(32, SIZE)
    network = settle(SmallNetwork(NetworkConfig(width=8, **VARIANTS[name]), PLAIN), images)
    model = compile_and_compare(network, images[:8])
    engines = [node.op for node in hardware_nodes(model) if node.kind == "XnorPopcount"]
    assert len(engines) == 2
    activation = {"none": "popcount_scale", "learned": "threshold", "mean": "threshold"}.get(
        name.split("-")[0], "majority_vote"
    )
    assert {engine.activation for engine in engines} == {activation}
    assert {bool(engine.masked) for engine in engines} == {"zero" in name}
    assert {bool(engine.group) for engine in engines} == {"hierarchical" in str(VARIANTS[name]) or name == "maj3"}


@pytest.mark.parametrize("fields", [{}, {"strategy": "none"}, {"slopes": "any"}])
def test_activated_network(fields):
    images = random_images(32, SIZE)
    layers = (Layer(activated=True), Layer(stride=2, activated=True), Layer(kernel=5, activated=True), Layer(kernel=1))
    network = settle(SmallNetwork(NetworkConfig(width=8, **fields), layers), images)
    model = compile_and_compare(network, images[:8])
    kind, count = ("PReLU", 6) if "slopes" in fields else ("RPReLU", 3)  # the second shift has its own
    assert sum(node.kind == kind for node in hardware_nodes(model)) == count


@pytest.mark.parametrize("padding", ["minus_one", "zero"])
def test_sequential_network_of_thresholds(padding):
    images = random_images(32, 32)
    network = settle(BnnCifar10(NetworkConfig(model="bnn_cifar10", strategy="none", width=4, padding=padding)), images)
    model = compile_and_compare(network, images[:8])
    activations = [node.op.activation for node in hardware_nodes(model) if node.kind == "XnorPopcount"]
    assert activations == ["threshold"] * 7 + ["sum"]
    assert kinds(model) == {"PixelOffset", "SlidingWindow", "IntConv", "SignThreshold", "XnorPopcount", "MaxPool"}
