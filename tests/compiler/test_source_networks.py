"""The networks that the sources name: as integers, small ones through csim and RTL, and those of full size golden."""

import json

import numpy as np
import pytest

from brevitas_models.checkpoint import Metadata, save_checkpoint
from brevitas_models.config import FULL_WIDTH, NetworkConfig
from brevitas_models.networks import build_network
from flow.compile import integer_graph
from flow.golden import Golden
from flow.graph import hardware_nodes
from flow.options import Options
from flow.plan.planner import PlanError, plan_network
from flow.plan.target import known_targets, load_target
from flow.run import run
from flow.steps.export import torch_logits

from .small import random_images, settle

NETWORKS = {
    "bwn18": {"model": "bwn18", "strategy": "none", "shortcut": "binary"},
    "bwn18-4-bits": {"model": "bwn18", "strategy": "none", "activation_bits": 4},
    "xnornet18": {"model": "xnornet18", "strategy": "none"},
    "xnornet18-mean": {"model": "xnornet18", "strategy": "none", "activation_scale": "mean", "padding": "zero"},
    "reactnet_a": {"model": "reactnet_a", "strategy": "none"},
    "reactnet_a-votes": {"model": "reactnet_a"},
    "no-norm": {"model": "reactnet18", "strategy": "none", "norm": "none"},
    "bn-free": {"model": "reactnet18", "strategy": "none", "norm": "bn-free"},
    "bn-free-votes": {"model": "bireal18", "norm": "bn-free"},
}
SMALL = {"golden_images": 16, "csim_images": 2, "rtl_images": 2, "pass_images": 2, "stream_images": 1}
QUICK = "bwn18-4-bits", "xnornet18-mean", "reactnet_a-votes", "bn-free"  # 8 seconds each, or twice that


def network_of(name, width=4):
    """A network with settled statistics and its images, of the least size that it takes."""
    fields = {**NETWORKS, "bnn_cifar10": {"model": "bnn_cifar10", "strategy": "none"}}[name]
    images = random_images(32, 32 if name == "bnn_cifar10" or width > 4 else 16)
    return settle(build_network(NetworkConfig(**{**fields, "width": width})), images), images[:8]


def require_golden(network, images):
    """PyTorch = golden on every logit; returns the integer graph."""
    reference = torch_logits(network, images)
    assert len(np.unique(reference, axis=0)) > len(images) // 2  # no constant network
    model = integer_graph(network, size=images.shape[1])
    logits = Golden(model).execute(images) * float(model.get_metadata_prop("logit_scale"))
    np.testing.assert_array_equal(logits, reference)
    return model


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NETWORKS])
def test_golden_equals_pytorch(name):
    model = require_golden(*network_of(name))
    ops = [node.op for node in hardware_nodes(model)]
    engines = [op.activation for op in ops if op.kind == "XnorPopcount"]
    weights = [op.weight_bits for op in ops if op.kind == "IntConv"]
    voting = {"majority_vote"} if name.endswith("votes") else {"popcount_scale"}
    if name.startswith("bwn18"):
        assert not engines and weights.count(1) == 16 + 3 * (name == "bwn18")  # stem, classifier: 8 bits
    elif name.startswith("xnornet18"):
        assert engines.count("popcount_scale") == engines.count("threshold") == 8  # added up, or a sign at once
    elif name.startswith("reactnet_a"):
        assert set(engines) == voting and len(engines) == 26 and weights == [8, 8]
    else:
        assert set(engines) == voting and len(engines) == 16


@pytest.mark.slow  # half a minute of simulators' compilation each, reactnet_a a whole one
@pytest.mark.parametrize("name", [*NETWORKS, "bnn_cifar10"])
def test_small_ones_through_every_stage(name, tmp_path):
    network, _ = network_of(name)
    config = network.config
    metadata = Metadata(network=config, data="none", command="none", epochs=0, epochs_planned=1, seed=0, seconds=0)
    save_checkpoint(tmp_path / "small.popbin", network, metadata)
    fields = {"model": config.model, "strategy": config.strategy, "checkpoint": tmp_path / "small.popbin"}
    run(Options(**fields, output=tmp_path / "out", fps=30, accuracy_images=16, **SMALL), log=lambda text: None)
    lines = json.loads((tmp_path / "out" / "report" / "summary.json").read_text())["verification"]
    assert {line["stage"] for line in lines} >= {"export", "golden", "csim", "rtl"}
    assert all(line["values"] and not line["mismatches"] for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bwn18", "xnornet18", "reactnet_a", "bn-free"])
def test_full_size_is_golden(name):
    network, images = network_of(name, FULL_WIDTH.get(name, 64))
    require_golden(network, images[:4])


def test_the_whole_bnn_is_golden_and_planned_on_every_board():
    """13.4 times 2^20 bits of weights fit every board at 300 fps, with the largest layers' from DDR."""
    network, images = network_of("bnn_cifar10", FULL_WIDTH["bnn_cifar10"])
    model = require_golden(network, images[:2])
    weights = sum(p.numel() for name, p in network.named_parameters() if name.endswith("conv.weight"))
    assert round(weights / 2**20, 1) == 13.4
    for name in known_targets():
        target = load_target(name)
        nodes = plan_network(model, target, 300).nodes
        assert nodes["XnorPopcount_6"].memory == "ddr" or target.budget()["bram36"] > weights / 36_864
    with pytest.raises(PlanError, match=r"needs .*: lower --fps to"):
        plan_network(model, load_target("pynq-z2"), 20_000)
