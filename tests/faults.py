"""Faults in the middle of a build, and the same call again: the summary must be that of a build without one.

    python -m tests.faults [--only FAULT ...] [--times N]

Faults: SIGTERM; a disk that is full, again and again, until it is large enough (caches and scratch are on it too); a
folder that becomes read-only; a second build in the same folder, and the folder removed under the first; times of files
that jump. The two with disks need to mount a tmpfs, so root. A build has cold caches, so each takes minutes.
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
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from tests.abuse.template import CHECKPOINT, make

FIRST_BYTES, GROWTH, MOST_BYTES = 1 << 18, 2, 1 << 31  # of a disk that is full
FAULTS: dict[str, Callable[[Place, random.Random], None]] = {}


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
        process = self.start(*words)
        said, _ = process.communicate()
        return process.returncode, checked(process.returncode, said, codes, text)

    def result(self) -> dict:
        """Return the summary, without the times in it."""
        summary = json.loads((self.build / "report" / "summary.json").read_text())
        return {name: value for name, value in summary.items() if name != "seconds"}

    def leftovers(self) -> list[str]:
        """Return what a call must not leave behind: half files, scratch."""
        found = [
            path for path in self.folder.rglob("*") if path.name.endswith(".part") or path.name.startswith("building-")
        ]
        return [str(path) for path in (*found, *(self.folder / "scratch").glob("*"))]


def checked(code: int, said: str, codes: tuple[int, ...], text: str) -> str:
    """Return what was printed, if a call ended with one of ``codes``, with ``text``, and without a traceback."""
    if "Traceback" in said or code not in codes or text not in said:
        raise Failure(f"exit code {code}, not {codes}, or not {text!r}: {said[-600:]}")
    if code and said.count("error: ") != 1:
        raise Failure(f"{said.count('error: ')} messages: {said[-600:]}")
    return said


def fault(function: Callable[[Place, random.Random], None]):
    """Put a function into the table of faults."""
    FAULTS[function.__name__] = function
    return function


@fault
def terminated(place: Place, rng: random.Random) -> None:
    """SIGTERM, at a random moment of half a minute: nothing half-made is left."""
    process = place.start()
    try:
        process.wait(timeout=rng.uniform(1, 30))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
    said, _ = process.communicate()
    checked(process.returncode, said, (0, 143, -signal.SIGTERM), "")  # before main() it has no handler yet
    if left := place.leftovers():
        raise Failure(f"SIGTERM left {left}")


@fault
def killed(place: Place, rng: random.Random) -> None:
    """SIGKILL of all processes, compilers too, at a random moment of two minutes."""
    process = place.start()
    try:
        process.wait(timeout=rng.uniform(1, 120))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@fault
def full(place: Place, rng: random.Random) -> None:
    """A disk that is full, with the call made again on one that is larger, until it is large enough."""
    size, times = FIRST_BYTES, 0
    with disk(place.folder, size):
        while True:
            code, _ = place.call(codes=(0, 1))
            if not code:
                break
            checked(code, _, (1,), "full")
            if left := [path for path in place.leftovers() if "/out/" not in path]:
                raise Failure(f"a full disk left {left}")
            size, times = GROWTH * size, times + 1
            if size > MOST_BYTES:
                raise Failure(f"a disk of {size} bytes is still full")
            mount("remount", place.folder, size)
        if not times:
            raise Failure("the disk was never full")
        place.found = place.result()


@fault
def read_only(place: Place, rng: random.Random) -> None:
    """A folder that is read-only in the middle."""
    with disk(place.folder, MOST_BYTES):
        place.call("--to-step", "plan")
        mount("remount,ro", place.folder, MOST_BYTES)
        process = subprocess.run(
            place.command, env={**place.environment, "TMPDIR": "/tmp"}, capture_output=True, text=True
        )
        checked(process.returncode, process.stdout + process.stderr, (1,), "cannot be written")
        mount("remount,rw", place.folder, MOST_BYTES)
        place.call()
        place.found = place.result()


@fault
def together(place: Place, rng: random.Random) -> None:
    """Two builds in one folder, which is then removed under the one that works."""
    first = place.start()
    while not (place.build / "report" / "export.json").exists():
        if first.poll() is not None:
            raise Failure(f"ended too soon: {first.communicate()[0][-600:]}")
        time.sleep(0.1)
    place.call(codes=(1,), text="another build works in")
    shutil.rmtree(place.build, ignore_errors=True)
    said, _ = first.communicate()
    checked(first.returncode, said, (0, 1), "")
    shutil.rmtree(place.build, ignore_errors=True)


@fault
def clock(place: Place, rng: random.Random) -> None:
    """Times of all files in the past and in the future: nothing is done again, as nothing depends on them."""
    place.call()
    for path in place.folder.rglob("*"):
        moment = rng.choice((0, 2**31 - 1, time.time() + 1e6))
        os.utime(path, (moment, moment), follow_symlinks=False)
    _, said = place.call()
    if said.count("finished before with the same inputs") < 10:
        raise Failure(f"steps were done again: {said[:600]}")


@contextmanager
def disk(folder: Path, size: int):
    """Make ``folder`` a disk of so many bytes."""
    mount("rw", folder, size)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def mount(how: str, folder: Path, size: int) -> None:
    """Mount a tmpfs, or change the one that is there."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"{how},size={size}", "tmpfs", str(folder)], check=True)


def outcome(name: str, files: Path, wanted: dict, rng: random.Random) -> str:
    """Return what came of a fault: "equal", or what is wrong."""
    with tempfile.TemporaryDirectory(prefix="fault-") as scratch:
        place = Place(Path(scratch), files)
        try:
            FAULTS[name](place, rng)
            found = getattr(place, "found", None)
            if found is None:
                place.call()
                found = place.result()
                if left := place.leftovers():
                    return f"left {left}"
        except Failure as error:
            return str(error)
        return "equal" if found == wanted else "DIFFERS"


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
        without = Path(scratch) / "without"
        without.mkdir()
        place = Place(without, files)
        place.call()
        wanted = place.result()
        for name in arguments.only or FAULTS:
            for _ in range(arguments.times):
                started = time.monotonic()
                found = outcome(name, files, wanted, rng)
                print(f"{name}: {found} ({time.monotonic() - started:.0f} s)", flush=True)
                outcomes.append(found)
    print(f"{len(outcomes)} faults, {outcomes.count('equal')} equal results")
    return int(outcomes.count("equal") < len(outcomes))


if __name__ == "__main__":
    sys.exit(main())
