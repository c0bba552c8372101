"""What a training run leaves behind: its state, and how it was made."""

from __future__ import annotations

import pickle
import platform
import shlex
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .config import NetworkConfig, TrainConfig
from .errors import ModelError


class TrainError(ModelError):
    """Training cannot go on; the message says why and what is kept."""


class NotFinite(TrainError):
    """A loss or a weight is no finite number; the last good state is kept."""


def command_line(
    network: NetworkConfig, config: TrainConfig, init: str | None = None, teacher: str | None = None
) -> str:
    """The ``flow train`` call with these settings, whatever started the run."""
    sizes = ",".join(f"{start:g}:{size}" for start, size in config.resolutions)
    words = [
        "flow",
        "train",
        "--model",
        network.model,
        "--strategy",
        network.strategy,
        "--width",
        str(network.width),
        "--epochs",
        str(config.epochs),
        "--batch",
        str(config.batch),
        "--lr",
        f"{config.lr:g}",
        "--seed",
        str(config.seed),
        "--resolutions",
        sizes,
    ]
    names = ("division", "voter", "threshold", "shortcut", "padding", "slopes", "norm", "activation_scale")
    for name in (*names, "activation_bits", "residual_bits", "residual_fraction"):
        if getattr(network, name) != NetworkConfig.model_fields[name].default:
            words += [f"--{name.replace('_', '-')}", str(getattr(network, name))]
    if config.branch_scale != TrainConfig().branch_scale and network.model != "bnn_cifar10":
        words += ["--branch-scale", f"{config.branch_scale:g}"]
    words += ["--shift", str(config.shift)] * (config.shift != TrainConfig().shift)
    for name in ("erase", "ema", "validation", "clipping"):
        if value := getattr(config, name):
            words += [f"--{name}", f"{value:g}"]
    words += ["--label-smoothing", f"{config.label_smoothing:g}"] * (config.label_smoothing > 0)
    words += ["--votes-from", f"{config.votes_from:g}"] * (config.votes_from > 0 and network.strategy != "none")
    if network.division == "rms" and config.window != TrainConfig().window:
        words += ["--window", "{:g}:{:g}".format(*config.window)]
    words += ["--no-train-alpha"] * (not network.train_alpha)
    words += ["--bf16"] * config.bf16 + ["--no-compile"] * (not config.compile)
    if config.distillation:
        words += [
            "--distillation",
            f"{config.distillation:g}",
            "--temperature",
            f"{config.temperature:g}",
            "--teacher",
            str(teacher),
        ]
        words += ["--teacher-on", config.teacher_on] * (config.teacher_on != TrainConfig().teacher_on)
    return shlex.join(words + (["--init", init] if init else []))


def device_name(device: torch.device) -> str:
    """The processor, and how many threads of it are used; or the GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    count = torch.get_num_threads()
    return f"{name}, {count} thread{'s' * (count != 1)}"


class _Form(BaseModel):
    """What a training state says beside its tensors."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    network: NetworkConfig
    config: TrainConfig
    model: dict[str, Any]
    optimizer: dict[Any, Any]
    step: int = Field(ge=0)
    steps: int = Field(1, ge=1)
    seconds: float = Field(ge=0)
    history: list[dict[str, Any]]
    source: str
    init: str | None = None
    teacher: str | None = None
    earlier: list[str] = []
    device: str = ""


def read_state(path: Path, device: torch.device | str = "cpu") -> dict:
    """The content of a ``state.pt``.

    Raises:
        TrainError: it is missing, damaged or something else, or a weight in it is no finite number.
    """
    if not path.is_file():
        raise TrainError(f"no training state at {path}: give the folder of a training run")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # which torch.load does not look at
        if damaged:
            raise zipfile.BadZipFile(f"{damaged} has another checksum")
        with warnings.catch_warnings(action="ignore"):  # of damaged files: what is wrong is said below
            state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch.load raises half a dozen kinds
        more = isinstance(error, pickle.UnpicklingError)  # whose text says how to load what would run programs
        reason = "it holds more than numbers and names" if more else str(error).split("\n")[0]
        raise TrainError(f"{path} is damaged ({reason}): remove it to start again") from error
    if problem := _problem(state):
        raise TrainError(f"{path} is no training state of flow ({problem}): remove it to start again")
    return state


def _problem(state) -> str | None:
    """What no training would have written; None if there is nothing."""
    try:
        _Form.model_validate(state)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"
    for part in ("model", "average"):
        for name, value in state.get(part, {}).items():
            if not isinstance(value, torch.Tensor) or not value.isfinite().all():
                return f"{name} in {part} is no tensor of finite numbers"
    return None
