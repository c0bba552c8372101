"""Networks at the edge of their numbers: what a training may end in, or a file from elsewhere may hold."""

import numpy as np
import pytest
import torch

from brevitas_models.config import NetworkConfig
from brevitas_models.export import export
from flow.compile import load_export
from flow.execute import execute_graph
from flow.golden import Golden
from flow.graph import hardware_nodes
from flow.passes import to_integers
from flow.steps.export import torch_logits

from .small import Layer, SmallNetwork, random_images, settle

IMAGES = random_images(32, 16)
LAYERS = (Layer(), Layer(2, 3, True), Layer())


def zero_scales(network):
    for block in network.blocks:
        block.norm.weight[::2] = 0.0


def negative_scales(network):
    for block in network.blocks:
        block.norm.weight.copy_(-block.norm.weight.abs() - 0.1)


def constant_votes(network):
    """All weights alike: a map of one sign votes the same everywhere, and its variance is 0."""
    network.blocks[1].conv.weight[:3] = 0.5
    network.blocks[1].shift.bias[:] = 7.0
    network.blocks[1].norm.running_var[:3] = 0.0


def saturating_residuals(network):
    for block in network.blocks:
        block.norm.weight.copy_(block.norm.weight.sign() * 300.0)


def tiny_variances(network):
    for block in network.blocks:
        block.norm.running_var.fill_(1e-12)


def vanished_weights(network):
    """mean|W| = 0: the scale behind the vote is 0, or of a popcount."""
    network.blocks[0].conv.weight.fill_(0.0)


CASES = (zero_scales, negative_scales, constant_votes, saturating_residuals, tiny_variances, vanished_weights)


@pytest.mark.parametrize("strategy", ["qat", "none"])
@pytest.mark.parametrize("change", CASES, ids=lambda change: change.__name__)
def test_all_stages_agree(change, strategy, tmp_path):
    config = NetworkConfig(width=4, strategy=strategy)
    network = settle(SmallNetwork(config, LAYERS), IMAGES)
    with torch.no_grad():
        change(network)
    logits = torch_logits(network, IMAGES)
    assert np.isfinite(logits).all() and len(np.unique(logits, axis=0)) > 1
    export(network, tmp_path / "network.onnx", size=16)
    model = load_export(tmp_path / "network.onnx")
    np.testing.assert_array_equal(execute_graph(model, IMAGES), logits)
    integer = to_integers(model)
    streams = {}
    integers = Golden(integer).execute(IMAGES, streams)
    np.testing.assert_array_equal(integers * float(integer.get_metadata_prop("logit_scale")), logits)
    if change is saturating_residuals:
        sums = [streams[node.outputs[0]] for node in hardware_nodes(integer) if node.kind == "AddStreams"]
        assert min(values.min() for values in sums) == -128 and max(values.max() for values in sums) == 127


def test_a_negative_scale_behind_the_popcount(tmp_path):
    """A file whose scale behind a binary convolution is negative: its sign falls with the popcount."""
    network = settle(SmallNetwork(NetworkConfig(width=4, strategy="none"), LAYERS), IMAGES)
    export(network, tmp_path / "network.onnx", size=16)
    model = load_export(tmp_path / "network.onnx")
    scales = [
        node
        for node in model.graph.node
        if node.op_type == "Mul" and model.find_producer(node.input[0]).op_type == "Conv"
    ]
    name = next(name for name in scales[0].input if model.get_initializer(name) is not None)
    model.set_initializer(name, -model.get_initializer(name))
    reference = execute_graph(model, IMAGES)
    integer = to_integers(model)
    np.testing.assert_array_equal(
        Golden(integer).execute(IMAGES) * float(integer.get_metadata_prop("logit_scale")), reference
    )
