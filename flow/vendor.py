"""Vivado and Vitis HLS: looked for before a build begins, run in its step, stopped with it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from flow.errors import FlowError

ROUTES = ("rtl", "hls")  # what a plan must fit and a bitfile is made of
VIVADO = ("vivado", "-mode", "batch", "-source", "build.tcl")
VITIS_HLS = ("vitis_hls", "-f", "run_hls.tcl")
VITIS_RUN = ("vitis-run", "--mode", "hls", "--tcl", "run_hls.tcl")  # where vitis_hls is no more: deprecated in 2024.2
SECONDS_BETWEEN_LINES = 60.0
SECONDS_TO_END = 10.0  # after SIGTERM
ERRORS_SHOWN = 5


def hls_command() -> tuple[str, ...]:
    """Return the command with which the Vitis HLS on PATH runs run_hls.tcl."""
    return VITIS_RUN if shutil.which(VITIS_HLS[0]) is None and shutil.which(VITIS_RUN[0]) else VITIS_HLS


def require_vendor_tools(route: str) -> None:
    """Raise FlowError if a program that makes the bitfile of ``route`` is not on PATH."""
    commands = {"rtl": (VIVADO,), "hls": (hls_command(), VIVADO)}[route]
    missing = [command[0] for command in commands if shutil.which(command[0]) is None]
    if missing:
        raise FlowError(
            f"{' and '.join(missing)} not found on PATH: source settings64.sh of your Vivado or Vitis "
            "installation, or build without --bitfile and run the Tcl scripts of the build folder where there is a "
            "Vivado"
        )


def run_tool(command: tuple[str, ...], folder: Path, output: Path, log: Callable[[str], None]) -> None:
    """Run ``command`` in ``folder`` with its output in the file ``output``, and log every minute that it still runs.

    When this is interrupted, the tool and the processes that it started are stopped.

    Raises:
        FlowError: the tool ended with another status than 0; the message has its last errors and names the log.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    since, begin = time.strftime("%H:%M"), time.monotonic()
    log(f"{command[0]}: running since {since}, output in {output}")
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while (status := _status(process)) is None:
                log(f"{command[0]}: running since {since}, for {(time.monotonic() - begin) / 60:.0f} minutes")
        except BaseException:
            _stop(process)
            raise
    if status:
        errors = "\n  ".join(last_errors(output.read_text(encoding="utf-8", errors="replace")))
        raise FlowError(f"{command[0]} ended with status {status}:\n  {errors}\nall that it said is in {output}")


def last_errors(text: str) -> list[str]:
    """Return the last lines of a log that tell an error, of a message or of Tcl; where none does, its last lines."""
    errors = re.findall(r"^ERROR.*$|^.+$(?=\n    while executing$)", text, re.MULTILINE)
    return (errors or text.splitlines())[-ERRORS_SHOWN:]


def _status(process: subprocess.Popen) -> int | None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(SECONDS_BETWEEN_LINES)
    return process.returncode


def _stop(process: subprocess.Popen) -> None:
    """End the whole session of ``process``: Vivado is a script that starts programs that start runs."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_END)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
