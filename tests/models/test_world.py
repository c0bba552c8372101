"""Two processes on gloo train one network: the step is the mean of theirs, and the first alone writes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from brevitas_models.config import NetworkConfig, TrainConfig
from brevitas_models.data import load_samples
from brevitas_models.state import TrainError, read_state
from brevitas_models.train import Trainer
from brevitas_models.world import ALONE, World, join

NETWORK = NetworkConfig(model="reactnet18", width=4)
CONFIG = TrainConfig(epochs=1, batch=32, compile=False, resolutions=((0.0, 16),))
PROGRAM = """
import json, sys, torch
from tests.models.test_world import CONFIG, NETWORK, trainer
from brevitas_models.world import join
torch.set_num_threads(1)
world, device = join(torch.device("cpu"))
run = trainer(sys.argv[1], world)
run.resume()
run.run(lambda line: None, test_images=16)
torch.save({name: p.detach() for name, p in run.model.named_parameters()}, f"{sys.argv[2]}-{world.rank}.pt")
"""


def trainer(folder, world=ALONE, images=32, config=CONFIG):
    samples = load_samples()
    return Trainer(NETWORK, config, samples.spread(images), samples.spread(16), Path(folder), world=world)


def torchrun(*arguments):
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments]
    checkout = Path(__file__).parents[2]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(checkout)}
    result = subprocess.run([sys.executable, *words], cwd=checkout, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def test_a_step_is_the_mean_of_both(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    torchrun(program, tmp_path / "run", tmp_path / "end")
    ends = [torch.load(tmp_path / f"end-{rank}.pt") for rank in range(2)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])

    alone = trainer(tmp_path / "alone")  # the same by hand: gradients of both parts, one after the other
    alone._order_epoch, gradients = -1, []
    for rank in range(2):
        alone.world = World(rank, 2)
        alone.model.train().zero_grad(set_to_none=True)
        alone._loss(alone.model, 16).backward()
        gradients.append({name: p.grad for name, p in alone.model.named_parameters() if p.grad is not None})
    for group in alone.optimizer.param_groups:
        group["lr"] = CONFIG.rate(0.0)
    for name, parameter in alone.model.named_parameters():
        parameter.grad = (gradients[0][name] + gradients[1][name]) / 2 if name in gradients[0] else None
    before = {name: p.detach().clone() for name, p in alone.model.named_parameters()}
    alone.optimizer.step()
    alone.model.clip_latent_weights()
    moved = 0
    for name, parameter in alone.model.named_parameters():
        torch.testing.assert_close(ends[0][name], parameter.detach(), rtol=1e-5, atol=1e-7)
        moved += int((parameter.detach() != before[name]).sum())
    assert moved > 1000

    state = read_state(tmp_path / "run" / "state.pt")
    assert state["step"] == 1 and len(state["history"]) == 1
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["history.jsonl", "state.pt"]


def test_parts_are_those_of_the_whole_batch(tmp_path):
    run = trainer(tmp_path, images=64)
    index, (pixels, labels) = torch.arange(8), run.data.batch(torch.arange(8), torch.Generator().manual_seed(3))
    for rank in range(2):
        part = World(rank, 2).part(8)
        own, own_labels = run.data.batch(index, torch.Generator().manual_seed(3), part)
        assert torch.equal(own, pixels[part]) and torch.equal(own_labels, labels[part])


def test_a_batch_that_cannot_be_shared(tmp_path):
    with pytest.raises(TrainError, match="a batch of 32 images cannot be shared by 3 processes: give a multiple of 3"):
        trainer(tmp_path, World(0, 3))


def test_one_process_without_torchrun(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join(torch.device("cpu")) == (World(), torch.device("cpu"))
