"""Whole builds by the command line, of networks that were not trained for votes or not by us."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from brevitas_models.checkpoint import Metadata, load_checkpoint, save_checkpoint
from brevitas_models.data import load_samples
from flow import api
from flow.cli.ptq import ptq
from flow.errors import FlowError
from flow.reference import file_outputs

from .networks import settled_network
from .small import random_images
from .test_foreign import Residual, exported, settled

pytestmark = pytest.mark.slow


def flow(*words, folder):
    run = subprocess.run(
        [sys.executable, "-c", "from flow.cli import main; main()", *map(str, words)],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    return run.stdout


def verified(folder, stages):
    """The summary, if its stages compare something and nothing differs in them."""
    summary = json.loads((folder / "report" / "summary.json").read_text())
    lines = [line for line in summary["verification"] if line["stage"] in stages]
    assert {line["stage"] for line in lines} == set(stages)
    assert all(line["mismatches"] == 0 and line["values"] > 0 for line in lines), lines
    return summary


def test_a_foreign_residual_network_through_every_stage(tmp_path):
    """Golden may differ from the real file by what is reported; from the integer graph on every bit is equal."""
    images = random_images(48, 32)
    exported(settled(Residual(), images), images, tmp_path / "residual.onnx")
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", np.arange(48) % 10)
    own = ["--images", "images.npy", "--labels", "labels.npy"]
    said = flow("build", "--onnx", "residual.onnx", "--pixels=-1,1", *own, "--output", "out", folder=tmp_path)
    summary = verified(tmp_path / "out", ("csim", "rtl"))
    assert summary["foreign"]["relative_difference"] < 0.05
    assert summary["accuracy"]["images"] == 48 and summary["accuracy"]["data"] == "images.npy, labels of labels.npy"
    found = api.load(tmp_path / "out").accuracy(images, np.arange(48) % 10)
    stored = {name: summary["accuracy"][name] for name in ("top1", "top5", "file", "other_class")}
    assert stored == {**found["integers"], "file": found["network"], "other_class": found["other_class"]}
    reference = file_outputs(tmp_path / "residual.onnx", images, -1.0, 1.0).argmax(axis=1)
    assert found["network"]["top1"] == round(100 * float((reference == np.arange(48) % 10).mean()), 2)
    changed = {row["image"]: row["integers"] for row in found["other_class"]}
    golden = [changed.get(i, int(c)) for i, c in enumerate(reference)]
    assert golden == list(np.load(api.load(tmp_path / "out").workspace.arrays / "golden_logits.npy").argmax(axis=1))
    with pytest.raises(FlowError, match="images of mine are 16x16x3, and the network takes 32x32x3"):
        api.load(tmp_path / "out").accuracy(images[:, ::2, ::2], np.arange(48) % 10, "mine")
    with pytest.raises(AssertionError, match="whose test set is not known: give --test and --labels"):
        flow("eval", "out", folder=tmp_path)
    own = ["--test", "images.npy", "--labels", "labels.npy", "--images", "16"]
    evaluated = flow("eval", "out", *own, folder=tmp_path)
    assert "on 16 test images, images.npy, labels of labels.npy; another class in" in evaluated
    assert said.count("real tensors became fixed point") == 2 and "CIFAR" not in said
    exact = {line["stage"]: "deviation" not in line for line in summary["verification"]}
    assert exact == {"golden": False, "csim": True, "rtl": True}
    said = flow("inspect", "residual.onnx", "--pixels=-1,1", folder=tmp_path)
    assert "XnorPopcount" in said
    (tmp_path / "residual.onnx").write_bytes(b"")
    with pytest.raises(FlowError, match="residual.onnx, of which .* was built, is gone or has changed"):
        api.load(tmp_path / "out").accuracy(images, np.arange(48) % 10)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A checkpoint of strategy none."""
    path = tmp_path_factory.mktemp("kept") / "none.popbin"
    network = settled_network(width=4, strategy="none")
    metadata = Metadata(
        network=network.config, data="none", command="none", epochs=0, epochs_planned=1, seed=0, seconds=0
    )
    save_checkpoint(path, network, metadata)
    return path


@pytest.mark.parametrize("calibration", [0, 50])
def test_ptq_votes_without_training(kept, tmp_path, monkeypatch, calibration):
    monkeypatch.setattr("brevitas_models.data.load_cifar", lambda data, split: load_samples())
    ptq(kept, tmp_path / "voted", calibration=calibration, images=50)
    network, metadata = load_checkpoint(tmp_path / "voted" / "checkpoint.popbin")
    before, _ = load_checkpoint(kept)
    assert network.config.strategy == "ptq" and f"--calibration {calibration}" * bool(calibration) in metadata.command
    assert torch.equal(network.blocks[3].conv.weight.sign(), before.blocks[3].conv.weight.sign())
    assert torch.equal(network.blocks[3].norm.running_var, before.blocks[3].norm.running_var) == (calibration == 0)
    flow(
        "build",
        "--checkpoint",
        tmp_path / "voted" / "checkpoint.popbin",
        "--strategy",
        "ptq",
        "--output",
        "out",
        folder=tmp_path,
    )
    assert verified(tmp_path / "out", ("export", "golden", "csim", "rtl"))["operations"]["popcount_mul"] == 0
