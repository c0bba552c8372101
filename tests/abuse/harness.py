"""Runs calls of ``flow`` and ``python -m deploy`` in processes of their own, with bounds of time and memory.

A call is forked from a process that has imported everything, so that hundreds of them take minutes.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

SECONDS = 60  # of processor time of a call, unless it says otherwise
WAITING = 10  # times that of the clock, on a machine that does other work
MEMORY = 6 << 30  # of address space, in which torch alone has two
CAPABILITIES = 0x20080522  # version of the structures of capset


@dataclass(frozen=True)
class Call:
    """A call and how it must end.

    ``words``: of the command line, the first one "flow" or "deploy". ``prepare``, given the folder that the call works
    in, damages something there; what it returns lives as long as the call. ``text``: what the message must have, a
    regular expression. ``codes``: exit codes that are right. ``never``: what must not be printed. ``keeps``: files, by
    name, that must be as they were. ``environment``: variables, in which {here} is the folder. ``stdout``: a file to
    print to. ``plain_user``: also where root makes the call, modes of files hold.
    """

    group: str
    name: str
    words: Sequence[str]
    text: str = ""
    prepare: Callable[[Path], object] = lambda folder: None
    codes: tuple[int, ...] = (1, 2)
    seconds: int = SECONDS
    memory: int = MEMORY
    environment: dict[str, str] = field(default_factory=dict)
    keeps: tuple[str, ...] = ()
    never: str = ""
    stdout: str | None = None
    plain_user: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a call ended: "right", or in which way it was wrong; and what it printed."""

    call: Call
    verdict: str
    code: int
    seconds: float
    printed: str


VERDICTS = ("right", "unclear", "wrong or silent", "traceback", "crash", "hang", "loss")


def run(call: Call, folder: Path) -> Outcome:
    """Run ``call`` in ``folder`` and judge how it ended."""
    held = call.prepare(folder)
    before = {name: (folder / name).read_bytes() for name in call.keeps}
    out, err = folder.parent / "stdout", folder.parent / "stderr"
    started = time.monotonic()
    child = os.fork()
    if not child:
        _become(call, folder, out, err)
    status = wait_for(child, WAITING * call.seconds)
    del held
    seconds = time.monotonic() - started
    code = os.waitstatus_to_exitcode(status) if status is not None else None
    said, complained = (path.read_text(errors="replace") for path in (out, err))
    verdict = _judged(call, code, said, complained)
    if verdict == "right" and any(
        not (folder / name).is_file() or (folder / name).read_bytes() != content for name, content in before.items()
    ):
        verdict = "loss"
    return Outcome(call, verdict, -1 if code is None else code, seconds, said + complained)


def in_copy(call: Call, template: Path) -> Outcome:
    """Run ``call`` in a copy of the folder ``template``."""
    with tempfile.TemporaryDirectory(prefix="abuse-") as scratch:
        folder = Path(scratch) / "here"
        # modes are of the file, whatever its names, so calls that have to do with them get files of their own
        shutil.copytree(template, folder, symlinks=True, copy_function=shutil.copy2 if call.plain_user else _linked)
        return run(call, folder)


def damage(path: Path, content: bytes) -> None:
    """Give a file of a copy other content; the template keeps its own."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def _linked(source: str, to: str) -> None:
    """Link large files, which calls replace and never change in place, and copy small ones."""
    if os.path.getsize(source) > 1 << 16:
        os.link(source, to)
    else:
        shutil.copy2(source, to)


def _judged(call: Call, code: int | None, said: str, complained: str) -> str:
    if code in (None, -signal.SIGXCPU, -signal.SIGKILL):
        return "hang"
    if "Traceback (most recent call last)" in said + complained:
        return "traceback"
    if code < 0:
        return "crash"
    if code not in call.codes or (call.never and re.search(call.never, said + complained)):
        return "wrong or silent"
    # rows of a table of reasons count as a message, as flow inspect and flow diff print them
    complained = re.sub(r"\x1b\[[0-9;]*m", "", complained)  # colours
    errors = len(re.findall(r"^(?:python -m \S+.*: )?error: ", complained, re.MULTILINE))
    if code and code != 130 and errors != 1 and not (errors == 0 and said.strip()):
        return "unclear"
    if call.text and not re.search(call.text, (complained + said).replace("\n", " ")):
        return "unclear"
    return "right"


def wait_for(child: int, seconds: float) -> int | None:
    """Return the wait status of a process group's leader; None, and the end of the group, after so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.005)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _become(call: Call, folder: Path, out: Path, err: Path) -> None:
    """Be the call, in a forked process; never returns."""
    code = 70
    try:
        faulthandler.disable()  # pytest's, which would print where a crash was
        os.setsid()
        os.chdir(folder)
        out.touch()
        for path, descriptor in ((call.stdout or out, 1), (err, 2)):
            opened = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            os.dup2(opened, descriptor)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False, errors="backslashreplace")  # as Python does
        if call.plain_user:
            _drop_rights()
        os.environ.update({name: value.format(here=folder) for name, value in call.environment.items()})
        resource.setrlimit(resource.RLIMIT_AS, (call.memory, call.memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        used = int(time.process_time()) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (used + call.seconds, used + call.seconds))
        code = _called(list(call.words))
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)  # as Python does
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(BaseException):  # whatever it is: this process must not go on as a worker
                stream.flush()
        os._exit(code)


def _drop_rights() -> None:
    """Give up root's capabilities, such as to read and write whatever the mode of a file is (capset of Linux)."""
    header, none = (ctypes.c_uint32 * 2)(CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, none):
        raise OSError(ctypes.get_errno(), "capset")


def _called(words: list[str]) -> int:
    if words[0] == "flow":
        from flow.cli import main

        main(words[1:])
        return 0
    from deploy.__main__ import main as deploy_main

    return deploy_main(words[1:])


def preload() -> None:
    """Import what calls use, once for all of them."""
    import torch

    for name in (
        "brevitas.nn",
        "onnxruntime",
        "brevitas_models.checkpoint",
        "deploy.__main__",
        "flow.run",
        "flow.inspection",
    ):
        import_module(name)
    torch.set_num_threads(1)
