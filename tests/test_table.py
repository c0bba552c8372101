"""``flow train --recipe`` and ``flow table``, at a length of its own: width 4, an epoch of 128 images."""

import json
import shlex

import pytest
import torch

from brevitas_models import data, recipes, results
from brevitas_models.checkpoint import load_checkpoint
from brevitas_models.config import TrainConfig
from brevitas_models.recipes import Length, RecipeError
from brevitas_models.train import Trainer
from flow import cli
from flow.cli.recipes import run_recipe
from flow.cli.table import in_order

ROWS = [
    "reactnet18-none",
    "reactnet18-ptq",
    "reactnet18-ptq-calibrated",
    "reactnet18-qat-from-none",
    "reactnet18-qat-smoothing",
    "twin18",
    "reactnet18-qat-distilled",
]


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Training and test images; a data set at ``tmp_path`` that is them; results and runs go to ``tmp_path``."""
    samples = data.load_samples()
    sets = {"train": samples.spread(128), "test": samples.spread(64)}
    short = TrainConfig(epochs=1, batch=32, resolutions=((0.0, 16),), compile=False)
    monkeypatch.setattr(
        recipes, "lengths", lambda: {"short": Length(width=4, train=short), "day": Length(width=8, train=short)}
    )
    monkeypatch.setattr(results, "lengths", recipes.lengths)
    monkeypatch.setitem(data.SPLITS, "test", 64)
    monkeypatch.setattr(data, "load_cifar", lambda path, split: sets[split])
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    monkeypatch.setattr(Trainer, "compiles", False)  # which takes longer than these few steps
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    return sets["train"], sets["test"]


def call(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        cli.main(list(words))
    out, err = capsys.readouterr()
    assert stop.value.code == 0, err
    return out


def test_rows_are_run_once_and_in_order(images, tmp_path, capsys):
    out = call(capsys, "table", "--run", "--format", "json", *reversed(ROWS))
    rows = json.loads(out[out.index("[\n") :])
    stored = results.load_results(tmp_path / "results")
    assert {recipe for recipe, *_ in stored} == set(ROWS)
    for row in rows:
        if row["recipe"] in ROWS:
            accuracy = stored[row["recipe"], "short", 10, 1].accuracy
            assert (row["top1"], row["top5"], row["seeds"]) == (accuracy.top1, accuracy.top5, [1])
            assert accuracy.images == 64
            checkpoint = tmp_path / "runs" / "short" / row["recipe"] / "checkpoint.popbin"
            assert load_checkpoint(checkpoint)[1] == stored[row["recipe"], "short", 10, 1].network
        else:
            assert row["top1"] is None and row["seeds"] == []
    again = call(capsys, "table", "--run", "--format", "csv", *ROWS)
    assert again.startswith("row,recipe,length,")  # nothing is run again
    assert {row["epochs"] for row in rows if "ptq" in row["recipe"] and row["recipe"] in ROWS} == {0}


def test_ptq_and_fine_tuning_start_from_the_trained_network(images, tmp_path, capsys):
    with pytest.raises(RecipeError, match="first run flow train --recipe reactnet18-none --length day"):
        run_recipe("reactnet18-ptq", "day", images, tmp_path / "runs", tmp_path / "results", "cpu")
    none = run_recipe("reactnet18-none", "day", images, tmp_path / "runs", tmp_path / "results", "cpu")
    ptq = run_recipe("reactnet18-ptq", "day", images, tmp_path / "runs", tmp_path / "results", "cpu")
    assert ptq.train is None and ptq.network.earlier == [none.network.command]
    again = run_recipe("reactnet18-ptq-calibrated", "day", images, tmp_path / "runs", tmp_path / "results", "cpu")
    folder = tmp_path / "runs" / "day"
    before, votes, settled = (load_checkpoint(folder / name / "checkpoint.popbin")[0].state_dict() for name in ROWS[:3])
    assert torch.equal(before["blocks.3.conv.weight"], votes["blocks.3.conv.weight"])
    assert torch.equal(before["blocks.3.norm.running_mean"], votes["blocks.3.norm.running_mean"])
    assert not torch.equal(before["blocks.3.norm.running_mean"], settled["blocks.3.norm.running_mean"])
    assert again.network.weights_sha256 != ptq.network.weights_sha256
    tuned = run_recipe("reactnet18-qat-from-none", "day", images, tmp_path / "runs", tmp_path / "results", "cpu")
    assert tuned.network.earlier == [f"1 epochs of {none.network.command}"]
    repeated = tmp_path / "repeated"
    call(capsys, *shlex.split(tuned.network.command)[1:], "--data", str(tmp_path), "--output", str(repeated))
    network = load_checkpoint(repeated / "checkpoint.popbin")[1]  # the command on its card trains the same
    assert (network.weights_sha256, network.earlier) == (tuned.network.weights_sha256, tuned.network.earlier)


def counted(step, steps):
    """Return ``step`` of a Trainer, which appends the number of each call's step to ``steps``."""

    def run(trainer, *rest):
        steps.append(trainer.step)
        return step(trainer, *rest)

    return run


def test_votes_that_begin_late_share_a_trunk(images, tmp_path, monkeypatch):
    """The second run does the steps after the trunk only; and so does another seed its own."""
    lengths = {
        "day": Length(
            width=4, train=TrainConfig(epochs=2, batch=32, resolutions=((0.0, 16),), compile=False, votes_from=0.5)
        )
    }
    monkeypatch.setattr(recipes, "lengths", lambda: lengths)
    folders, done = (tmp_path / "runs", tmp_path / "results", "cpu"), {}
    for name, seed in (("reactnet18-none", 1), ("reactnet18-qat", 1), ("reactnet18-maj3", 1), ("reactnet18-qat", 2)):
        steps = []
        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "_train_step", counted(Trainer._train_step, steps))
            done[name, seed] = run_recipe(name, "day", images, *folders, seed=seed)
        assert steps == list(range(4 if seed == 1 and name != "reactnet18-none" else 0, 8)), (name, seed)
    assert done["reactnet18-qat", 2].command == "flow train --recipe reactnet18-qat --length day --seed 2"
    assert len({result.network.weights_sha256 for result in done.values()}) == 4
    assert set(results.load_results(tmp_path / "results")) == {(name, "day", 10, seed) for name, seed in done}


def test_a_recipe_goes_on_and_writes_into_its_folder(images, tmp_path, capsys):
    assert "top-1" in call(capsys, "train", "--recipe", "bireal18-qat", "--length", "short")
    assert (tmp_path / "runs" / "short" / "bireal18-qat" / "state.pt").is_file()
    assert "going on with runs/short/bireal18-qat at step 4 of 4" in call(capsys, "train", "--recipe", "bireal18-qat")
    assert "| bireal18-qat | short | 4 |" in call(capsys, "table", "--output", "table.md")
    assert "| bireal18-qat | short | 4 |" in (tmp_path / "table.md").read_text()


def test_order():
    assert in_order(["reactnet18-ptq"], "short") == ["reactnet18-none", "reactnet18-ptq"]
    assert in_order(["reactnet18-qat-distilled"], "short") == ["twin18", "reactnet18-qat-distilled"]
    assert in_order(["bireal18-maj3-from-qat"], "day") == ["bireal18-qat", "bireal18-maj3-from-qat"]
    everything = in_order(recipes.names(), "source")
    assert sorted(everything) == recipes.names()
    for name in everything:
        needed = [row for row in (recipes.load_recipe(name).start, recipes.load_recipe(name).teacher) if row]
        assert all(everything.index(row) < everything.index(name) for row in needed), name
