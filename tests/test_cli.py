"""The command line: what a user does wrong is answered by one message, never by a traceback."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from brevitas_models.checkpoint import Metadata, save_checkpoint
from brevitas_models.config import NetworkConfig
from brevitas_models.data import ImageSet, load_samples
from brevitas_models.networks import build_network
from flow import cli
from flow.cli.progress import TrainingProgress
from flow.cli.train import parse_resolutions, parse_window
from flow.errors import FlowError


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FLOW_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def call(capsys, *words) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``flow words``."""
    with pytest.raises(SystemExit) as stop:
        cli.main([str(word) for word in words])
    out, err = capsys.readouterr()
    return stop.value.code, out, err


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """An untrained network of width 4."""
    path, config = tmp_path_factory.mktemp("cli") / "tiny.popbin", NetworkConfig(width=4)
    metadata = Metadata(network=config, data="none", command="none", epochs=0, epochs_planned=1, seed=0, seconds=0)
    save_checkpoint(path, build_network(config), metadata)
    return path


WRONG_CALLS = {
    "model": (["eval", "--model", "resnet"], "model 'resnet' is unknown: use bireal18"),
    "strategy": (["train", "--strategy", "best"], "strategy 'best' is unknown: use none or ptq or qat or simple-qat"),
    "backend": (["eval", "--backend", "gpu"], "backend 'gpu' is unknown: use"),
    "width": (["train", "--width", "6"], "width is 6"),
    "epochs": (["train", "--epochs", "0"], "epochs is 0"),
    "rate": (["train", "--lr", "-1"], "lr is -1"),
    "resolutions": (["train", "--resolutions", "big"], "0:16,0.4:24,0.7:32"),
    "sizes": (["train", "--resolutions", "0:17"], "sizes 16, 24 or 32"),
    "data": (["train", "--data", "nowhere"], "cifar-10-python.tar.gz"),
    "default data": (["train"], "no data set at data"),
    "init": (["train", "--init", "none.popbin"], "no checkpoint at none.popbin"),
    "not bundled": (
        ["eval", "--width", "12", "--voter", "maj3"],
        "no bundled checkpoint bireal18-qat-w12-maj3 (there is bireal18-none",
    ),
    "voter of eval": (["eval", "--voter", "all"], "voter 'all' is unknown: use one of exact"),
    "checkpoint": (["eval", "--checkpoint", "none.popbin"], "no checkpoint at none.popbin"),
    "foreign checkpoint": (["eval", "--checkpoint", __file__], "no .popbin checkpoint"),
    "device": (["train", "--device", "abacus"], "device 'abacus' cannot be used"),
    "run": (["pack", "nothing"], "no training state at nothing"),
    "recipe": (["train", "--recipe", "resnet"], "recipe 'resnet' is unknown: use bireal18-"),
    "length": (
        ["train", "--recipe", "bireal18-qat", "--length", "night"],
        "length 'night' is unknown: use short, day, source",
    ),
    "recipe and epochs": (["train", "--recipe", "bireal18-qat", "--epochs", "3"], "--epochs is what a recipe says"),
    "no results": (["table", "--results", "nothing"], "no results in nothing yet: flow table --run"),
    "format": (["table", "--format", "html"], "format 'html' is unknown: use csv or json or markdown"),
    "row": (["table", "--run", "resnet"], "recipe 'resnet' is unknown"),
    "residual": (["train", "--residual-bits", "3"], "residual_bits is 3"),
    "smoothing": (["train", "--label-smoothing", "1"], "label_smoothing is 1"),
    "window": (["train", "--division", "rms", "--window", "3"], 'of the form "3:0.9"'),
    "window of another division": (["train", "--window", "3:0.9"], "--window is of --division rms, not of c*alpha"),
    "command": (["frob"], "frob"),
    "option": (["train", "--frob"], "--frob"),
    "number": (["train", "--epochs", "many"], "'--epochs': many should be a valid integer"),
    "jobs": (["synth", ".", "--jobs", "0"], "'--jobs': 0 should be greater than or equal to 1"),
    "jobs in words": (["timing", ".", "--jobs", "two"], "'--jobs': two should be a valid integer"),
    "level": (["timing", ".", "--level", "-1"], "'--level': -1 should be greater than or equal to 0.2"),
    "level nan": (["timing", ".", "--level", "nan"], "'--level': nan is no finite number"),
    "level inf": (["timing", ".", "--level=-inf"], "'--level': -inf is no finite number"),
    "images": (["synth", ".", "--simulate", "513"], "'--simulate': 513 should be less than or equal to 512"),
    "fps": (["build", "--fps", "nan"], "'--fps': nan is no finite number"),
    "clock": (["build", "--clock", "fast"], "'--clock': fast should be a valid number"),
}


@pytest.mark.parametrize("name", WRONG_CALLS)
def test_wrong_calls(name, capsys):
    words, text = WRONG_CALLS[name]
    code, out, err = call(capsys, *words)
    assert code not in (0, None)
    assert text in err.replace("\n", " ")
    assert err.startswith("error: ") and err.count("error:") == 1 and "Traceback" not in err + out


def test_debug_shows_the_traceback_wherever_it_stands():
    for words in (["--debug", "eval", "--model", "x"], ["eval", "--model", "x", "--debug"]):
        with pytest.raises(FlowError):
            cli.main(words)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/x/state.part"), 1, "the disk is full (/x/state.part)"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 1, "Permission denied (/x)"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (cli.ModelError("[bold]as it is"), 1, "[bold]as it is"),
    ],
)
def test_what_happens_to_a_user(error, code, text, capsys, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("brevitas_models.data.load_cifar", fail)
    found, _, err = call(capsys, "train", "--width", "4")
    assert found == code and text in err and "Traceback" not in err


def test_a_signal_that_comes_twice_is_told_once(capsys):
    """``timeout`` sends one to the process, and one to its group."""
    before = signal.signal(signal.SIGTERM, cli._terminated)
    try:
        with pytest.raises(SystemExit) as stop:
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert stop.value.code == cli.TERMINATED
    assert capsys.readouterr().err.count("terminated") == 1


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr("brevitas_models.data.load_cifar", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["train", "--width", "4"])


def test_eval_on_the_packaged_samples(checkpoint, capsys):
    code, out, err = call(capsys, "eval", "--checkpoint", checkpoint, "--images", "40")
    assert code == 0 and err == ""
    assert "on 40 test images, CIFAR-10 (JPEG), packaged samples" in out and "top-1" in out and "width 4" in out


def test_train_resume_and_pack(capsys, monkeypatch, tmp_path):
    samples = load_samples()
    monkeypatch.setattr(
        "brevitas_models.data.load_cifar", lambda path, split: samples.spread(128 if split == "train" else 50)
    )
    words = [
        "train",
        "--width",
        "4",
        "--epochs",
        "1",
        "--batch",
        "64",
        "--no-compile",
        "--resolutions",
        "0:16",
        "--output",
        "run",
    ]
    code, out, err = call(capsys, *words)
    assert code == 0 and "on 50 test images" in out
    assert (tmp_path / "run" / "checkpoint.popbin").is_file()
    card = (tmp_path / "run" / "card.md").read_text()
    assert "flow train --model bireal18 --strategy qat --width 4 --epochs 1" in card and "1 of 1" in card
    first = (tmp_path / "run" / "checkpoint.popbin").read_bytes()

    code, out, err = call(capsys, *words)  # finished: nothing to train
    assert code == 0 and "going on with run at step 2 of 2" in out
    assert (tmp_path / "run" / "checkpoint.popbin").read_bytes() == first

    code, out, err = call(capsys, "pack", "run", "--output", "packed")
    assert code == 0 and "epoch 1 of 1" in out
    assert (tmp_path / "packed" / "checkpoint.popbin").read_bytes() == first
    code, out, err = call(capsys, *words, "--seed", "2")
    assert code == 1 and "another network or recipe" in err


def test_doctor_lists_all_tools(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = call(capsys, "doctor")
    for name in ("python", "torch", "verilator", "g++", "yosys", "vivado", "vitis_hls", "CIFAR-10", "ap_int"):
        assert name in out
    monkeypatch.setenv("PATH", "/nonexistent")
    code, out, _ = call(capsys, "doctor")
    assert code == 1 and "flow build cannot work without verilator, g++" in out


def test_help_is_fast_because_nothing_heavy_is_imported():
    heavy = "torch", "brevitas", "qonnx", "onnx", "onnxruntime", "ortools", "scipy", "pandas"
    program = (
        "import sys, flow.cli\n"
        "try: flow.cli.main(['--help'])\n"
        f"finally: print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    root = Path(cli.__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, cwd=root)
    assert result.returncode == 0 and "doctor" in result.stdout
    assert result.stderr.strip() == "[]"


def test_plain_progress_has_rate_and_time_left(capsys):
    with TrainingProgress(100) as progress:
        line = {"steps": 100, "epoch": 0.5, "size": 16, "loss": 2.0, "images_per_s": 80.0}
        progress.report({**line, "step": 10, "seconds": 10.0})
        progress.last_line = -1e9
        progress.report({**line, "step": 20, "seconds": 20.0})
    out = capsys.readouterr().out
    assert "80 images/s" in out and "0:01:20 left" in out and "step 20 of 100" in out


def test_resolutions():
    assert parse_resolutions("0:16,0.4:24,0.7:32") == ((0.0, 16), (0.4, 24), (0.7, 32))


def test_window():
    assert parse_window("3:0.9") == (3.0, 0.9)
    for wrong in ("3", "3:", "3:0", "-1:1", "1:2:3", "inf:1", "nan:1"):
        with pytest.raises(FlowError, match='two numbers above 0, of the form "3:0.9"'):
            parse_window(wrong)


def test_data_of_other_classes(checkpoint, capsys, monkeypatch):
    samples = load_samples()
    hundred = ImageSet(samples.images, samples.labels, "CIFAR-100 (original)")
    monkeypatch.setattr("brevitas_models.data.load_cifar", lambda path, split: hundred)
    code, _, err = call(capsys, "eval", "--checkpoint", checkpoint, "--data", ".")
    assert code == 1 and "the network has 10 classes, CIFAR-100 (original) has 100" in err


@pytest.mark.parametrize(
    "choice, stem", [("--voter maj3", "reactnet18-qat-w16-maj3"), ("--shortcut binary", "reactnet18-qat-w16-binary")]
)
def test_eval_takes_the_bundled_one_that_was_asked_for(capsys, choice, stem):
    code, out, err = call(
        capsys, "eval", "--model", "reactnet18", "--strategy", "qat", "--width", "16", *choice.split(), "--images", "40"
    )
    assert code == 0, err
    assert f"{stem}.popbin, backend torch" in out.replace("\n", "") and "on 40 test images" in out
