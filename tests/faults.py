"""Faults in the middle of a build, and the same call again: the summary must be that of a build without one.

    python -m tests.faults [--only FAULT ...] [--times N]

Prints a line a fault and the counts; exits with 1 if a result differs, a call ends in anything but one message, or
something half-made is left. Each build takes minutes; those in which compilers are hit have cold caches. The faults of
disks mount a tmpfs, so they are for root.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flow.steps import STEPS
from tests.abuse.template import CHECKPOINT, make

FIRST_BYTES, GROWTH, MOST_BYTES = 1 << 18, 2, 1 << 31  # of a disk that is full
FAULTS: dict[str, Callable[[Place, random.Random], None]] = {}
ENDED = (0, 128 + signal.SIGTERM, -signal.SIGTERM)  # the last before flow has a handler


class Failure(Exception):
    """What was wrong."""


class Place:
    """A folder with a build, its caches and its scratch, and the call that builds there."""

    def __init__(self, folder: Path, files: Path):
        self.folder, self.build = folder, folder / "out"
        self.command = [sys.executable, "-P", "-m", "flow.cli", "build", "--checkpoint", str(files / CHECKPOINT)]
        self.command += ["--width", "4", "--output", str(self.build)]
        self.environment = {
            **os.environ,
            "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_DATA_HOME": str(folder / "data"),
            "TMPDIR": str(folder / "scratch"),
        }

    def warm(self, other: Place, *names: str) -> None:
        """Copy folders of a finished place, such as its caches."""
        for name in names:
            shutil.copytree(other.folder / name, self.folder / name, dirs_exist_ok=True)

    def start(self, *words: str) -> subprocess.Popen:
        """Start the call."""
        (self.folder / "scratch").mkdir(exist_ok=True)
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen([*self.command, *words], env=self.environment, start_new_session=True, **streams)

    def call(self, *words: str, codes: tuple[int, ...] = (0,), text: str = "") -> tuple[int, str]:
        """Run the call to its end; return its exit code and what it printed.

        Raises:
            Failure: another code, another message, or a traceback.
        """
        return ended(self.start(*words), codes, text)

    def result(self) -> dict:
        """Return the summary, without the times in it."""
        summary = json.loads((self.build / "report" / "summary.json").read_text())
        return {name: value for name, value in summary.items() if name != "seconds"}

    def require_clean(self) -> None:
        """Raise Failure if a call left something half-made, or scratch."""
        names = ("*.part", ".*.part", "building-*")
        found = [path for name in names for path in self.folder.rglob(name)]
        if found := [*found, *(self.folder / "scratch").glob("*")]:
            raise Failure(f"left {', '.join(str(path.relative_to(self.folder)) for path in found)}")


def ended(process: subprocess.Popen, codes: tuple[int, ...], text: str = "") -> tuple[int, str]:
    """Return the exit code, one of ``codes``, and what was printed, with ``text`` in it.

    Raises:
        Failure: another code, no such text, a traceback, or not one message.
    """
    said, _ = process.communicate()
    code = process.returncode
    if "Traceback" in said or code not in codes or text not in said:
        raise Failure(f"exit code {code}, not {codes}, or not {text!r}: {said[-600:]}")
    if code > 0 and said.count("error: ") != 1:
        raise Failure(f"{said.count('error: ')} messages: {said[-600:]}")
    return code, said


def fault(function: Callable[[Place, Place, random.Random], None]):
    """Put a function of the place, a finished one, and random numbers into the table of faults."""
    FAULTS[function.__name__] = function
    return function


@fault
def terminated(place: Place, finished: Place, rng: random.Random) -> None:
    """SIGTERM, with cold caches, while the nth step works, or some seconds later, compilers with it."""
    step, seconds = rng.choice([step.name for step in STEPS if not step.optional]), rng.uniform(0, 20)
    process = place.start()
    for _ in lines_before(process, f"{step}: "):
        pass
    time.sleep(seconds)
    process.send_signal(signal.SIGTERM)
    ended(process, ENDED)
    place.require_clean()


@fault
def full(place: Place, finished: Place, rng: random.Random) -> None:
    """A disk that is full, with cold caches; the call is made again on one twice as large, until that is enough."""
    size, times = FIRST_BYTES, 0
    with disk(place.folder, size):
        while True:
            code, said = place.call(codes=(0, 1))
            if not code:
                break
            if "full" not in said:
                raise Failure(f"not said that the disk is full: {said[-600:]}")
            place.require_clean()
            size, times = GROWTH * size, times + 1
            if size > MOST_BYTES:
                raise Failure(f"a disk of {size} bytes is still full: {said[-600:]}")
            mount("remount", place.folder, size)
        if not times:
            raise Failure("the disk was never full")
        require_same(place, finished)


@fault
def read_only(place: Place, finished: Place, rng: random.Random) -> None:
    """A folder that is read-only from a step on."""
    with disk(place.folder, MOST_BYTES):
        place.warm(finished, "cache")
        place.call("--to-step", rng.choice(("export", "plan", "rtl")))
        mount("remount,ro", place.folder, MOST_BYTES)
        elsewhere = {**place.environment, "TMPDIR": "/tmp"}
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        ended(subprocess.Popen(place.command, env=elsewhere, **streams), (1,), "cannot be written")
        mount("remount,rw", place.folder, MOST_BYTES)
        place.call()
        require_same(place, finished)


@fault
def together(place: Place, finished: Place, rng: random.Random) -> None:
    """Two builds in one folder: the second is refused, and the first does not notice."""
    place.warm(finished, "cache")
    first = place.start()
    for _ in lines_before(first, "plan: "):
        pass
    place.call(codes=(1,), text="another build works in")
    ended(first, (0,))
    require_same(place, finished)


@fault
def removed(place: Place, finished: Place, rng: random.Random) -> None:
    """The folder is removed under a build."""
    place.warm(finished, "cache")
    process = place.start()
    step = rng.choice(("streamline: ", "plan: ", "csim: ", "package: "))
    for _ in lines_before(process, step):
        pass
    shutil.rmtree(place.build, ignore_errors=True)
    ended(process, (0, 1))


@fault
def clock(place: Place, finished: Place, rng: random.Random) -> None:
    """Times of all files in the past and in the future: nothing is done again, as nothing depends on them."""
    place.warm(finished, "cache", "out", "data")
    for path in place.folder.rglob("*"):
        moment = rng.choice((0, 2**31 - 1, time.time() + 1e6))
        os.utime(path, (moment, moment), follow_symlinks=False)
    _, said = place.call()
    steps = [step.name for step in STEPS if not step.optional]
    again = [name for name in steps if f"{name}: finished before with the same inputs" not in said]
    if again:
        raise Failure(f"steps were done again: {', '.join(again)}")


def lines_before(process: subprocess.Popen, start: str) -> Iterator[str]:
    """Yield what a call prints before a line that begins with ``start``.

    Raises:
        Failure: there is no such line.
    """
    for line in process.stdout:
        if line.startswith(start):
            return
        yield line
    raise Failure(f"no line {start!r}")


def require_same(place: Place, finished: Place) -> None:
    """Raise Failure if the summary of a place is not that of the finished one, or something half-made is left."""
    place.require_clean()
    found, wanted = place.result(), finished.result()
    if different := [name for name in wanted if found.get(name) != wanted[name]]:
        raise Failure(f"DIFFERS in {', '.join(different)}")


@contextmanager
def disk(folder: Path, size: int) -> Iterator[None]:
    """Make ``folder`` a disk of so many bytes."""
    mount("rw", folder, size)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def mount(how: str, folder: Path, size: int) -> None:
    """Mount a tmpfs, or change the one that is there."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"{how},size={size}", "tmpfs", str(folder)], check=True)


def outcome(name: str, files: Path, finished: Place, rng: random.Random) -> str:
    """Return what came of a fault, and of the same call after it: "equal", or what is wrong."""
    with tempfile.TemporaryDirectory(prefix="fault-") as scratch:
        place = Place(Path(scratch), files)
        try:
            FAULTS[name](place, finished, rng)
            if Path(scratch).exists() and name not in ("full", "read_only"):  # those are on a disk that is gone
                place.call()
                require_same(place, finished)
        except Failure as error:
            return str(error)
    return "equal"


def main() -> int:
    """Run each fault ``--times`` times and print what came of it; return 1 if a result is not equal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=FAULTS, help="some of the faults")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng, outcomes = random.Random(arguments.seed), []
    with tempfile.TemporaryDirectory(prefix="fault-") as scratch:
        files = make(Path(scratch) / "files")
        finished = Place(Path(scratch), files)
        finished.call()
        for name in arguments.only or FAULTS:
            for _ in range(arguments.times):
                started = time.monotonic()
                found = outcome(name, files, finished, rng)
                print(f"{name}: {found} ({time.monotonic() - started:.0f} s)", flush=True)
                outcomes.append(found)
    print(f"{len(outcomes)} faults, {outcomes.count('equal')} equal results")
    return int(outcomes.count("equal") < len(outcomes))


if __name__ == "__main__":
    sys.exit(main())
