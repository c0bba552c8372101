"""FINN's own environment: a virtual one, with finn-plus and a torch for CPUs.

Brevitas 0.13.0, which finn-plus asks for, takes no setuptools from 70 on, and torch 2.13 none before 77: left to itself
pip goes back to a torch that brings gigabytes of CUDA. So Brevitas comes without its requirements, and these after it,
but for torch, with a setuptools that both work with. psutil is imported by FINN's steps and not among its requirements.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

TORCH, FINN = "torch==2.13.0", "finn-plus==1.6.1"
UNSAID = ("setuptools>=77.0.3,<82", "psutil")
SHOWN = ("finn-plus", "qonnx", "onnx", "brevitas")  # versions in the table
ASK = "import importlib.metadata as m, json, sys; print(json.dumps({name: m.%s(name) for name in sys.argv[1:]}))"


def environment(folder: Path) -> Path:
    """Return the interpreter of FINN's environment, which is made where it is not complete."""
    python, ready = folder / "bin/python", folder / ".ready"
    wanted = f"{TORCH}\n{FINN}\n"
    if ready.exists() and ready.read_text(encoding="utf-8") == wanted:
        return python
    print(f"making {folder} with {TORCH} and {FINN}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install(python, TORCH)
    install(python, "--no-deps", FINN)
    needed = required(python, "finn-plus")
    brevitas = next(name for name in needed if _package(name) == "brevitas")
    install(python, "--no-deps", brevitas)
    others = [name for name in needed + required(python, "brevitas") if _package(name) not in _GIVEN]
    install(python, *others, *UNSAID)
    ready.write_text(wanted, encoding="utf-8")
    return python


_GIVEN = ("brevitas", "torch", "setuptools")


def _package(requirement: str) -> str:
    return re.split(r"[\s\[(<>=!~;]", requirement)[0].lower()


def install(python: Path, *arguments: str) -> None:
    """Install packages with the pip of an environment."""
    subprocess.run([python, "-m", "pip", "install", "-q", *arguments], check=True)


def required(python: Path, package: str) -> list[str]:
    """Return what a package of an environment requires, without its extras."""
    found = _asked(python, "requires", package)[package]
    return [requirement for requirement in found if "extra ==" not in requirement]


def versions_of(python: Path) -> dict[str, str]:
    """Return the versions of FINN and of what it reads files with."""
    return _asked(python, "version", *SHOWN)


def _asked(python: Path, question: str, *packages: str) -> dict:
    call = [python, "-c", ASK % question, *packages]
    return json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)
