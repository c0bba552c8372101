"""Training on a lent GPU, as far as a machine without one can tell.

The rehearsal runs ``scripts/gpu_training`` from what travels alone, in a Python that finds nothing else than what the
device has: it stops by its time budget, goes on in another folder from what came back, and ends with the weights of a
run that was never stopped.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from brevitas_models import kernels
from brevitas_models.blocks import is_binary_weight
from brevitas_models.checkpoint import load_checkpoint
from brevitas_models.config import NetworkConfig, TrainConfig
from brevitas_models.evaluate import logits_of
from brevitas_models.networks import build_network, load_weights
from brevitas_models.results import result_path
from brevitas_models.sums import whole_sums
from brevitas_models.train import Trainer
from scripts.gpu import device as on_device
from scripts.gpu import parcel as parcels
from scripts.gpu import prepare, states
from scripts.gpu.jobs import Job, Work, load_jobs
from scripts.gpu.parcel import Parcel, state_name, unpack_results, unpack_states
from tests.models.meta_device import META, Traffic, meta_device

REPOSITORY = Path(__file__).parents[2]
VOTES = NetworkConfig(model="reactnet18", division="rms")
NETWORKS = [
    VOTES,
    NetworkConfig(model="reactnet18", strategy="none"),
    NetworkConfig(model="reactnet18", voter="maj3", width=48),
    NetworkConfig(model="bireal18"),
]
# Imported by a training run, and on the device (the kinds of machine of the device tool); the rest of what runs there
# travels.
ON_DEVICE = (
    "torch torchgen functorch numpy numpy.libs PIL pillow.libs yaml _yaml sympy mpmath packaging jinja2 markupsafe "
    "filelock networkx fsspec rich pygments markdown_it mdurl typer click shellingham annotated_doc setuptools "
    "_distutils_hack"
).split()


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: f"{network.model}-{network.strategy}-{network.voter}")
def test_a_step_waits_for_nothing(samples, tmp_path, network):
    """Full size, batches of 512: nothing is read by the host, nothing is copied, and the optimizer is one call."""
    config = TrainConfig(batch=512, epochs=1, bf16=True, compile=False, erase=4, ema=0.99)
    with meta_device():
        run = Trainer(network, config, samples.spread(512), samples.spread(8), tmp_path, device="meta")
        run.forward, run._order, run._order_epoch = run.model, torch.arange(512, device=META), 0
        with Traffic() as traffic:
            loss = run._train_step(32)
        assert (loss.device.type, loss.dtype, run.step) == ("meta", torch.float32, 1)
        assert traffic.copies == []
        assert traffic.counts["aten._fused_adamw_.default"] == traffic.counts["aten._foreach_lerp_.Scalar"] == 1
        with pytest.raises(RuntimeError, match="meta"):
            float(loss)  # the check itself: a value that is read raises


def test_copies_are_noted(samples, tmp_path):
    """The check of the test above sees a copy: random numbers that are made on the host."""
    with meta_device():
        run = Trainer(VOTES, TrainConfig(batch=512, epochs=1), samples, samples.spread(8), tmp_path, device="meta")
        index = torch.arange(512, device=META)
        for where, expected in ((META, []), (torch.device("cpu"), ["aten._to_copy.default"] * 2)):
            with Traffic() as traffic:
                run.data.batch(index, types.SimpleNamespace(device=where))
            assert traffic.copies == expected


def test_which_convolutions_are_in_bfloat16(samples, tmp_path):
    """Those that are voted on, all 16 of them; popcounts that are kept, and the 8-bit stem and shortcuts, are in
    float32.
    """
    for strategy, low in (("qat", 16), ("none", 0)):
        network = VOTES.model_copy(update={"strategy": strategy, "width": 8, "division": "c*alpha"})
        run = Trainer(network, TrainConfig(bf16=True, batch=32), samples, samples.spread(8), tmp_path / strategy)
        types_seen = []

        class Types(torch.overrides.TorchFunctionMode):
            def __torch_function__(self, function, types, args=(), kwargs=None, seen=types_seen):
                if function is torch.nn.functional.conv2d:
                    seen.append(args[0].dtype)
                return function(*args, **(kwargs or {}))

        with Types():
            run.model.train()(torch.zeros(2, 3, 32, 32))
        assert types_seen.count(torch.bfloat16) == low and len(types_seen) == 16 + 2 * 4


def test_sums_in_bfloat16():
    """Of 4,608 products: the sign of all sums and every sum up to 256 are exact; in float32 all are."""
    generator = torch.Generator().manual_seed(1)
    bits, weight = (
        torch.randint(0, 2, shape, generator=generator) * 2.0 - 1 for shape in ((4, 512, 5, 5), (64, 512, 3, 3))
    )
    weight[:32] = bits[0, :, :3, :3]  # sums of up to 4,608
    exact = torch.nn.functional.conv2d(bits.double(), weight.double())
    low = whole_sums(bits, weight, 1, torch.bfloat16)
    small = exact.abs() <= 256
    assert torch.equal(whole_sums(bits, weight, 1).double(), exact)
    assert torch.equal(low[small].double(), exact[small]) and torch.equal(low >= 0, exact >= 0)
    assert exact.max() == 4608 and small.float().mean() > 0.5
    assert on_device.check_sums(torch.device("cpu")).startswith("popcounts exact")


def test_wrong_sums_are_found(monkeypatch):
    monkeypatch.setattr(on_device, "whole_sums", lambda *args: whole_sums(*args) + (args[0].shape[1] == 512))
    with pytest.raises(ArithmeticError, match="popcounts in float32"):
        on_device.check_sums(torch.device("cpu"))


@pytest.mark.parametrize(
    "network",
    [NETWORKS[0], *(pytest.param(network, marks=pytest.mark.slow) for network in NETWORKS[1:3])],
    ids=lambda network: f"{network.strategy}-{network.voter}",
)
def test_one_graph(monkeypatch, network):
    """torch.compile takes the whole network as one graph, and its gradients too; results are those of the modules."""
    monkeypatch.setattr(kernels, "library", lambda: None)
    model = build_network(network.model_copy(update={"width": 12})).train()
    model.use_bfloat16()
    pixels = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 255
    torch._dynamo.reset()
    explained = torch._dynamo.explain(model)(pixels)
    assert (explained.graph_count, explained.graph_break_count) == (1, 0), explained.break_reasons
    torch._dynamo.reset()
    compiled = torch.compile(model, dynamic=False, backend="aot_eager", fullgraph=True)
    gradients = []
    for forward in (model, compiled):
        model.zero_grad()
        torch.nn.functional.cross_entropy(forward(pixels), torch.arange(4)).backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-3, atol=1e-5, msg=name)


def test_a_compiler_that_fails_costs_nothing(samples, tmp_path, monkeypatch):
    """The run goes on without it, from the same step, to the same weights."""

    def fail(*args):
        raise torch._dynamo.exc.BackendCompilerFailed(fail, ValueError("no"), None)

    ends = []
    for name in ("plain", "failing"):
        run = Trainer(
            NetworkConfig(width=4),
            TrainConfig(epochs=1, batch=32),
            samples.spread(64),
            samples.spread(8),
            tmp_path / name,
        )
        with monkeypatch.context() as patch:
            patch.setattr(torch, "compile", lambda model, failing=name == "failing", **_: fail if failing else model)
            if name == "failing":
                with pytest.warns(UserWarning, match="torch.compile failed, so the run goes on without"):
                    run.run(lambda line: None)
            else:
                run.run(lambda line: None)
        ends.append(run.model.state_dict())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def state_of(network, config, step=3, **fields):
    """A training state with random weights and moments."""
    torch.manual_seed(1)
    model = build_network(network).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter) * 1e-3
    optimizer.step()
    state = {"network": network.model_dump(), "config": config.model_dump(), "model": model.state_dict()}
    state |= {
        "optimizer": optimizer.state_dict(),
        "step": step,
        "steps": 8,
        "seconds": 1.0,
        "history": [],
        "source": "x",
    }
    return {**state, "earlier": [], **fields}


def test_a_full_state_fits_into_a_file(tmp_path):
    """11.2 million weights within 16 MiB, at eight bits each; half as wide, more of it is kept."""
    for width, level in ((64, "byte"), (32, "half"), (16, "exact")):
        torch.save(state_of(VOTES.model_copy(update={"width": width}), TrainConfig()), tmp_path / "state.pt")
        assert states.write_state(tmp_path / "state.pt", tmp_path / "packed", parcels.FILE_BYTES) == level
        assert (tmp_path / "packed").stat().st_size <= parcels.FILE_BYTES
        restored = states.read_state(tmp_path / "packed")
        model = build_network(VOTES.model_copy(update={"width": width}))
        load_weights(model, restored["model"])
        torch.optim.AdamW(model.parameters()).load_state_dict(restored["optimizer"])


@pytest.mark.parametrize("level", ["half", "byte"])
def test_what_is_left_of_a_reduced_state(samples, level):
    """Signs of binary weights, and all other weights; magnitudes and second moments nearly, and so the logits."""
    network = VOTES.model_copy(update={"width": 16})
    state = state_of(network, TrainConfig())
    weight = state["model"]["blocks.7.conv.weight"]
    weight[0, :6, 0, 0] = torch.tensor([1.0, -1.0, 1e-9, -1e-9, 0.0, -0.0])
    reduced = states.reduced(state, level)
    restored = states.restored(reduced)
    binary = 0
    for name, value in state["model"].items():
        found = restored["model"][name]
        if is_binary_weight(name):
            binary += 1
            assert torch.equal(found >= 0, value >= 0), name
            tolerance = {"half": 1e-6, "byte": 0.008}[level]
            torch.testing.assert_close(found, value, rtol=1e-3, atol=tolerance * float(value.abs().max()))
        else:
            assert torch.equal(found, value), name
    assert binary == 16
    for index, fields in state["optimizer"]["state"].items():
        found = restored["optimizer"]["state"][index]
        assert found["step"] == fields["step"]
        for name in ("exp_avg", "exp_avg_sq"):
            layouts = [(each[name].shape, each[name].stride()) for each in (found, fields)]
            assert layouts[0] == layouts[1]
        torch.testing.assert_close(found["exp_avg_sq"].mean(), fields["exp_avg_sq"].mean(), rtol=1e-4, atol=0)
    before, after = build_network(network), build_network(network)
    load_weights(before, state["model"])
    load_weights(after, restored["model"])
    logits = [logits_of(each, samples.images[:64]) for each in (before, after)]
    assert np.corrcoef(logits[0].ravel(), logits[1].ravel())[0, 1] > 0.99
    assert restored["earlier"] == [
        f"a stop at step 3, with weights in {16 if level == 'half' else 8} bits and without first moments"
    ]


def test_an_average_is_what_a_finished_run_leaves(tmp_path):
    network = VOTES.model_copy(update={"width": 4, "division": "c*alpha"})
    state = state_of(network, TrainConfig(), step=8)
    state["average"] = {name: value * 0.5 for name, value in state["model"].items()}
    torch.save(state, tmp_path / "state.pt")
    states.write_state(tmp_path / "state.pt", tmp_path / "packed", parcels.FILE_BYTES, weights_only=True)
    restored = states.read_state(tmp_path / "packed")
    assert restored["optimizer"] == {} and "average" not in restored
    assert all(torch.equal(restored["model"][name], value) for name, value in state["average"].items())


JOBS = [
    Job("reactnet18-qat-narrowing", "short"),
    Job("reactnet18-none", "short"),
    Job("reactnet18-maj3-from-qat", "short"),
]


def made_up(folder, running=(), finished=()) -> Work:
    """A work folder with states of small networks, and finished rows."""
    work = Work(folder)
    for job in (*running, *finished):
        network = VOTES.model_copy(update={"width": 4})
        work.state(job).parent.mkdir(parents=True)
        torch.save(state_of(network, TrainConfig()), work.state(job))
        work.log(job).parent.mkdir(exist_ok=True)
        work.log(job).write_text("said\n")
    for job in finished:
        work.results.mkdir(exist_ok=True)
        result_path(work.results, job.recipe, job.length).write_text("{}")
        (work.run(job) / "checkpoint.popbin").write_bytes(b"weights")
    return work


def test_what_comes_back(tmp_path):
    """States of what is not finished, and of a finished row that another begins with; finished rows; and all of it goes
    on.
    """
    work, parcel = made_up(tmp_path / "work", running=JOBS[1:2], finished=JOBS[:1]), Parcel(tmp_path / "out")
    lines = parcel.write(work, JOBS)
    assert sorted(path.name for path in parcel.folder.iterdir()) == sorted(
        ["results.zip", state_name(JOBS[0]), state_name(JOBS[1])]
    )
    assert len(lines) == 2 and parcel.write(work, JOBS) == []  # nothing is packed twice
    other = Work(tmp_path / "other")
    assert unpack_results(parcel.folder, other) == []
    assert unpack_states(parcel.folder, other) == [
        "goes on with reactnet18-none, short, from step 3 of 8",
        "goes on with reactnet18-qat-narrowing, short, from step 3 of 8",
    ]
    assert other.finished(JOBS[0]) and not other.finished(JOBS[1])
    assert (other.run(JOBS[0]) / "checkpoint.popbin").read_bytes() == b"weights"
    last = made_up(tmp_path / "last", finished=JOBS)
    Parcel(parcel.folder).write(last, JOBS)
    assert [path.name for path in parcel.folder.iterdir()] == ["results.zip"]


def test_a_full_disk_keeps_what_is_there(tmp_path, monkeypatch):
    work, parcel = made_up(tmp_path / "work", running=JOBS[:1]), Parcel(tmp_path / "out")
    parcel.write(work, JOBS)
    before = {path.name: path.read_bytes() for path in parcel.folder.iterdir()}

    def full(self, content):
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    os.utime(work.state(JOBS[0]), (1, 1))
    assert parcel.write(work, JOBS) == [
        "results.zip is not written: No space left on device",
        f"{state_name(JOBS[0])} is not written: No space left on device",
    ]
    assert {path.name: path.read_bytes() for path in parcel.folder.iterdir()} == before


def test_states_without_room_are_said(tmp_path):
    work = made_up(tmp_path / "work", running=JOBS[:2])
    whole = Parcel(tmp_path / "whole")
    whole.write(work, JOBS)
    size = (whole.folder / state_name(JOBS[0])).stat().st_size
    tight = Parcel(tmp_path / "tight", room=size + 20_000)
    lines = tight.write(work, JOBS)
    assert lines[0].startswith("kept the state of reactnet18-qat-narrowing.short: exact")
    assert lines[1] == "no room for the state of reactnet18-none.short: it is not kept"


def test_damaged_files_are_said(tmp_path):
    work, parcel = made_up(tmp_path / "work", running=JOBS[:1]), Parcel(tmp_path / "out")
    parcel.write(work, JOBS)
    for path in parcel.folder.iterdir():
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    other = Work(tmp_path / "other")
    assert "is damaged" in unpack_results(parcel.folder, other)[0]
    assert unpack_states(parcel.folder, other)[0].endswith("reactnet18-qat-narrowing begins again")
    assert not other.state(JOBS[0]).exists()


def session(tmp_path, program, **fields) -> on_device.Session:
    """A session whose jobs run ``program`` instead of a training."""
    script = tmp_path / "program.py"
    script.write_text(program)
    on_device.PROGRAM = script
    work = Work(tmp_path / "work")
    return on_device.Session(tmp_path / "folder", tmp_path / "out", work, JOBS, **{"seconds": 60, "least": 0, **fields})


FINISH = """
import pathlib, sys
words = dict(zip(sys.argv[2::2], sys.argv[3::2]))
folder = pathlib.Path(words["--work"]) / "results"
folder.mkdir(parents=True, exist_ok=True)
print("begun", words["--recipe"], flush=True)
%s
(folder / f"{words['--recipe']}.{words['--length']}.json").write_text("{}")
"""


@pytest.fixture(autouse=True)
def program(monkeypatch):
    monkeypatch.setattr(on_device, "PROGRAM", on_device.PROGRAM)


def test_jobs_wait_for_what_they_begin_with(tmp_path, capsys):
    assert session(tmp_path, FINISH % "", at_once=2).run()
    said = re.findall(r"(begins|finished) (\S+?)[.:]short", capsys.readouterr().out)
    votes, maj3 = ("finished", "reactnet18-qat-narrowing"), ("begins", "reactnet18-maj3-from-qat")
    assert said.index(votes) < said.index(maj3) and [name for what, name in said[:2]] == [
        job.recipe for job in JOBS[:2]
    ]


def test_a_loss_that_is_no_number_halves_the_rate_of_the_next_call(tmp_path, capsys):
    """The other job goes on; what begins with the failed one waits."""
    failing = FINISH % "if words['--recipe'] == 'reactnet18-qat-narrowing': print('the loss is nan'); sys.exit(3)"
    first = session(tmp_path, failing)
    assert not first.run()
    assert [first.work.finished(job) for job in JOBS] == [False, True, False]
    assert "failed reactnet18-qat-narrowing.short, exit code 3: the loss is nan" in capsys.readouterr().out
    back = tmp_path / "folder" / "back"
    shutil.copytree(tmp_path / "out", back)
    shutil.rmtree(first.work.folder)
    again = session(tmp_path, FINISH % "")
    assert again.run() and again.work.failure(JOBS[0]) == {"halvings": 1, "message": "the loss is nan"}


def test_a_job_that_does_not_stop_is_killed(tmp_path, capsys):
    begun = time.monotonic()
    stuck = session(tmp_path, FINISH % "import time; time.sleep(300)", seconds=4, grace=1)
    assert not stuck.run() and time.monotonic() - begun < 60
    assert capsys.readouterr().out.count("did not stop in time: killed") == 2


def test_no_job_is_begun_without_time(tmp_path):
    late = session(tmp_path, FINISH % "", least=100)
    assert not late.run() and not late.work.log(JOBS[0]).exists()


def test_a_nan_in_training_ends_with_its_own_code(samples, tmp_path, monkeypatch):
    monkeypatch.setattr(on_device, "load_cifar", lambda path, split: samples.spread(64))
    monkeypatch.setattr(TrainConfig, "rate", lambda self, progress: float("nan"))
    code = on_device.train_job(JOBS[0], tmp_path, Work(tmp_path / "work"), "cpu", until=float("inf"))
    assert code == on_device.NOT_FINITE


def test_the_queue_is_that_of_the_issue():
    jobs = load_jobs()
    assert [job.name for job in jobs[:3]] == [
        "reactnet18-qat-narrowing.source",
        "reactnet18-none.source",
        "reactnet18-maj3-from-qat.source",
    ]
    for job in jobs:
        assert all(needed in jobs[: jobs.index(job)] for needed in job.needs)


def test_the_call_of_the_device_tool(monkeypatch):
    call = prepare.call(REPOSITORY / ".whl", 600, 2)
    assert len(call["command"]) <= 2000 and call["carry"] == [".whl"] and call["timeout_s"] <= 600
    assert "--folder .whl" in call["command"] and ".whl/wheels/*.whl" in call["command"]
    seconds = float(re.search(r"--seconds (\d+)", call["command"])[1])
    assert seconds + on_device.Session.grace < call["timeout_s"] - 20
    assert {name.split("==")[0] for name in prepare.pinned()} == set(prepare.PACKAGES)


def archive_of_cifar() -> Path:
    folders = [Path(os.environ["FLOW_DATA"])] if "FLOW_DATA" in os.environ else []
    folders += [REPOSITORY / "data", REPOSITORY.parent / "shared" / "data" / "cifar10"]
    found = [path for folder in folders if folder.exists() for path in (folder, *folder.glob("*"))]
    found = [path for path in found if path.name == "cifar10-jpeg.tar.xz"]
    if not found:
        pytest.skip("no archive of CIFAR-10 in FLOW_DATA, data/ or ../shared/data/cifar10")
    return found[0]


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A git checkout of one file in the place of the repository, which is none where the tests run from a copy."""
    if shutil.which("git") is None:
        pytest.skip("no git")
    folder = tmp_path / "checkout"
    subprocess.run(["git", "init", "-q", folder], check=True)
    (folder / "tracked.txt").write_bytes(b"0123456789")
    monkeypatch.setattr(prepare, "REPOSITORY", folder)
    return folder


def test_what_travels_is_what_git_does_not_ignore(tmp_path, checkout):
    (checkout / ".gitignore").write_text("*.bin\n")
    (checkout / "state.bin").write_bytes(bytes(1000))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "wheel").write_bytes(bytes(100))
    assert prepare.travelling(tmp_path / "folder") == 10 + 6 + 100
    shutil.rmtree(checkout / ".git")
    with pytest.raises(prepare.PrepareError, match="is no git checkout"):
        prepare.travelling(tmp_path / "folder")


@pytest.mark.usefixtures("checkout")
def test_too_much_to_travel_is_refused(tmp_path, monkeypatch, capsys):
    data = tmp_path / "cifar10-jpeg.tar.xz"
    data.write_bytes(b"images")
    monkeypatch.setattr(prepare, "download_wheels", lambda target: [])
    prepare.prepare(tmp_path / "folder", data, 600, 2)
    printed = capsys.readouterr().out
    assert json.loads(printed[printed.index("{") :])["timeout_s"] == 600
    (tmp_path / "folder" / "back").mkdir()
    with (tmp_path / "folder" / "back" / "state-x.bin").open("wb") as file:
        file.truncate(prepare.TRAVELS_BYTES)
    with pytest.raises(prepare.PrepareError, match="bytes are too many"):
        prepare.prepare(tmp_path / "folder", data, 600, 2)


@pytest.mark.usefixtures("checkout")
def test_what_came_is_taken_in(tmp_path, capsys, monkeypatch):
    """Finished rows land in runs and results; the next call's folder has what it goes on with, if it can travel."""
    work = made_up(tmp_path / "work", running=JOBS[1:2], finished=JOBS[:1])
    Parcel(tmp_path / "out").write(work, JOBS)
    folder, runs, results = tmp_path / "folder", tmp_path / "runs", tmp_path / "results"
    prepare.collect(folder, tmp_path / "out", runs, results, JOBS)
    assert (runs / "short" / JOBS[0].recipe / "checkpoint.popbin").read_bytes() == b"weights"
    assert result_path(results, JOBS[0].recipe, "short").is_file()
    names = {path.name for path in (folder / "back").iterdir()}
    assert names == {"results.zip", state_name(JOBS[0]), state_name(JOBS[1])}
    done = made_up(tmp_path / "done", finished=JOBS)
    Parcel(tmp_path / "out").write(done, JOBS)
    prepare.collect(folder, tmp_path / "out", runs, results, JOBS)
    assert [path.name for path in (folder / "back").iterdir()] == ["results.zip"]
    Parcel(tmp_path / "out").write(work, JOBS)
    monkeypatch.setattr(prepare, "TRAVELS_BYTES", prepare.travelling(folder))
    prepare.collect(folder, tmp_path / "out", runs, results, JOBS)
    assert "too many to travel" in capsys.readouterr().out and (runs / state_name(JOBS[1])).is_file()


@pytest.fixture(scope="module")
def travelled(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """A copy of what travels, and the environment of a Python (started with -S) that finds only that and what the
    device has.

    The wheels are for the device's Python: one with compiled code stands in from this machine, of the same version.
    """
    place = tmp_path_factory.mktemp("device")
    folder, site, there = place / ".whl", place / "site", place / "there"
    for name in ("brevitas_models", "flow", "scripts"):
        shutil.copytree(
            REPOSITORY / name, place / name, ignore=shutil.ignore_patterns("__pycache__", "zoo", "*.popbin")
        )
    shutil.copytree(REPOSITORY / "brevitas_models" / "zoo", place / "brevitas_models" / "zoo", ignore=lambda *_: ["*"])
    packages = Path(sysconfig.get_paths()["purelib"])
    site.mkdir()
    there.mkdir()
    try:
        wheels = prepare.download_wheels(REPOSITORY / ".whl" / "wheels")
    except prepare.PrepareError as error:
        print(f"wheels are not downloaded, installed packages stand in: {error}")
        wheels = []
    pure = [str(path) for path in wheels if path.name.endswith("-none-any.whl")]
    names = {requirement.split("==")[0].replace("-", "_") for requirement in prepare.pinned()}
    if pure:
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-index",
            "--no-deps",
            "--no-compile",
            "--target",
            site,
        ]
        subprocess.run([*map(str, pip), *pure], check=True)
    for name in names - {Path(path).name.split("-")[0] for path in pure}:
        tops = {"dependencies": ["dependencies", "_dependencies"], "typing_extensions": ["typing_extensions.py"]}
        for top in [*tops.get(name, [name]), *(path.name for path in packages.glob(f"{name}-*.dist-info"))]:
            copy = shutil.copytree if (packages / top).is_dir() else shutil.copy
            copy(packages / top, site / top)
    for name in ON_DEVICE:
        for found in (packages / name, packages / f"{name}.py"):
            if found.exists():
                (there / found.name).symlink_to(found)
    for found in packages.glob("*.dist-info"):
        if found.name.split("-")[0].lower() in {name.lower() for name in ON_DEVICE}:
            (there / found.name).symlink_to(found)
    prepare.copy_archive(archive_of_cifar(), folder / "data")
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "XDG_CACHE_HOME") if name in os.environ}
    environment |= {"PYTHONPATH": f"{site}:{there}", "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    return place, environment | {"OMP_WAIT_POLICY": "passive", "PYTHONWARNINGS": "ignore"}


def test_nothing_else_is_imported(travelled):
    """Every module of a run lies in the copy, in its wheels, in the interpreter's library, or in a package that the
    device has.
    """
    place, environment = travelled
    program = """
import json, sys
sys.path.insert(0, ".")
import scripts.gpu.device, scripts.gpu.cli, PIL.Image
files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
print(json.dumps({name: file for name, file in files.items() if file}))
"""
    run = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=place, env=environment, capture_output=True, text=True
    )
    assert not run.returncode, run.stderr[-1500:]
    files = json.loads(run.stdout.splitlines()[-1])
    library = Path(sysconfig.get_paths()["stdlib"]).resolve()
    allowed = [place.resolve(), library]
    packages = Path(sysconfig.get_paths()["purelib"]).resolve()
    for name, file in files.items():
        path = Path(place, file).resolve()
        device = path.is_relative_to(packages) and path.relative_to(packages).parts[0].removesuffix(".py") in ON_DEVICE
        ours = any(path.is_relative_to(root) for root in allowed) and not path.is_relative_to(packages)
        assert device or ours, name
    travelling = {"brevitas", "pydantic", "platformdirs", "dependencies"}
    assert travelling <= {name for name, file in files.items() if Path(file).is_relative_to(place / "site")}
    assert not {name for name in files if name.split(".")[0] in ("qonnx", "onnx", "onnxruntime", "ortools", "hls4ml")}


@pytest.mark.slow  # three networks of width 16 are measured on all test images
def test_the_rehearsal(travelled, tmp_path):
    """Stopped by its time, and resumed from what came back alone: the same weights as without a stop."""
    place, environment = travelled
    queue = tmp_path / "queue.yaml"
    queue.write_text(
        "- {recipe: reactnet18-qat-narrowing, length: short}\n- {recipe: reactnet18-maj3-from-qat, length: short}\n"
    )

    def call(name, *words):
        out, work = tmp_path / f"out-{name}", tmp_path / f"work-{name}"
        command = [sys.executable, "-S", "scripts/gpu_training", "run", "--folder", ".whl", "--device", "cpu"]
        command += ["--out", str(out), "--work", str(work), "--queue", str(queue), "--images", "256", *words]
        result = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
        print(result.stdout)
        assert result.returncode == 0, result.stderr[-3000:]
        return out, result.stdout

    out, said = call("stopped", "--seconds", "1", "--least", "-600", "--grace", "600")
    assert re.search(r"stopped reactnet18-qat-narrowing.short in time: step 1 of 16", said)
    assert {path.name for path in out.iterdir()} == {"results.zip", "state-reactnet18-qat-narrowing.short.bin"}
    shutil.copytree(out, place / ".whl" / "back")
    resumed, said = call("resumed", "--seconds", "1000")
    assert "goes on with reactnet18-qat-narrowing, short, from step 1 of 16" in said
    shutil.rmtree(place / ".whl" / "back")
    whole, _ = call("whole", "--seconds", "1000")
    found = []
    for folder in (resumed, whole):
        assert [path.name for path in folder.iterdir()] == ["results.zip"]
        with zipfile.ZipFile(folder / "results.zip") as archive:
            archive.extractall(tmp_path / folder.name)
        checkpoints = sorted((tmp_path / folder.name / "runs").rglob("checkpoint.popbin"))
        found.append([load_checkpoint(path)[1] for path in checkpoints])
        assert len(list((tmp_path / folder.name / "results").glob("*.json"))) == 2
    assert [each.weights_sha256 for each in found[0]] == [each.weights_sha256 for each in found[1]]
    assert [each.accuracy for each in found[0]] == [each.accuracy for each in found[1]]
    assert found[0][0].weights_sha256 != found[0][1].weights_sha256
