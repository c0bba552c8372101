"""Runs a tool on many jobs, each in a process of its own that starts with everything imported, within limits."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

SECONDS = 120  # of a processor
PATIENCE = 1200  # seconds on the clock after which a process that waits for something is ended
GIGABYTES = 12  # of address space


def each(tool: str, call: Callable[[Path], None]) -> None:
    """Call ``call`` in a process for every job folder of the command line; note in TOOL.end.json how it ended."""
    for folder in map(Path, sys.argv[1:]):
        print(f"{tool}: {folder.name}", file=sys.stderr, flush=True)
        for old in (folder / f"{tool}.json", folder / f"{tool}.npy"):
            old.unlink(missing_ok=True)
        shutil.rmtree(folder / tool, ignore_errors=True)
        child = os.fork()
        if not child:
            _become(folder / f"{tool}.log", call, folder)
        status = _wait(child)
        shutil.rmtree(folder / tool, ignore_errors=True)
        ended = "limit" if status in (-signal.SIGXCPU, -signal.SIGALRM) else "crashed" if status else "done"
        text = json.dumps({"ended": ended, "code": status}) + "\n"
        (folder / f"{tool}.end.json").write_text(text, encoding="utf-8")


def _become(log: Path, call: Callable[[Path], None], folder: Path) -> None:
    """Do the job in this process, and end it."""
    status = 1
    try:
        os.setsid()
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(file, stream)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30, GIGABYTES << 30))
        signal.alarm(PATIENCE)
        call(folder)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _wait(child: int) -> int:
    """Return the exit status of a process, less than 0 for a signal, and end what it started."""
    try:
        _, status = os.waitpid(child, 0)
    except BaseException:
        os.killpg(child, signal.SIGKILL)
        raise
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(status)
