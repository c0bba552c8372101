"""CPU time of the C simulation of a build: streams of their depth, streams without bounds, and processes in order.

    python -m benchmarks.hls_csim BUILD [--images 16] [--rounds 5]    # a build folder, with its step hls done
    python -m benchmarks.hls_csim BUILD --other PROGRAM WEIGHTS       # and a program compiled from another tree

In order is how Vitis HLS does it, here with the hls_stream.h of hls4ml: one process after the other, each for a whole
frame. The ways take turns, and the least of the rounds counts, so that other work on the machine matters little.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from flow.errors import FlowError
from flow.project import DDR_FILE, check_project
from flow.sim.cpp import compile_cpp
from flow.sim.csim import SOURCES
from flow.workspace import Workspace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--other", nargs=2, type=Path, metavar=("PROGRAM", "WEIGHTS"))
    arguments = parser.parse_args()
    try:
        project = Workspace(arguments.build).hls
        shape = check_project(project)["image"]
    except FlowError as error:
        sys.exit(f"error: {error}")
    images = np.random.default_rng(0).integers(0, 256, (arguments.images, *shape), np.uint8)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "images.bin").write_bytes(images.tobytes())
        ways, compilation = compiled(project, folder)
        if arguments.other:
            ways["other"] = [arguments.other[0].resolve(), f"weights={arguments.other[1].resolve()}"]
        seconds = dict.fromkeys(ways, np.inf)
        for _ in range(arguments.rounds):
            for name, command in ways.items():
                seconds[name] = min(seconds[name], cpu_seconds(run, [*command, "expected="], folder))
    print(f"{arguments.images} images, CPU seconds, the least of {arguments.rounds} rounds; bounded is")
    for name, least in seconds.items():
        ratio = "" if name == "bounded" else f" {seconds['bounded'] / least:.2f} times this"
        made = f"; compiled in {compilation[name]:.1f}" if name in compilation else ""
        print(f"{name:10} {least:6.2f}{ratio}{made}")


def compiled(project: Path, folder: Path) -> tuple[dict[str, list], dict[str, float]]:
    """Return the command of each way, compiled into ``folder``, and the CPU time of the compilations."""
    sources = [project / name for name in SOURCES]
    weights = f"weights={(project / 'data' / DDR_FILE).resolve()}"
    programs = {"bounded": folder / "concurrent", "in order": folder / "plain"}
    seconds = {
        name: cpu_seconds(compile_cpp, sources, program, concurrent=name == "bounded")
        for name, program in programs.items()
    }
    ways: dict[str, list] = {name: [program, weights] for name, program in programs.items()}
    return ways | {"unbounded": [*ways["bounded"], "unbounded=1"]}, seconds


def run(command: list, folder: Path) -> None:
    """Run ``command`` in ``folder``."""
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def cpu_seconds(work: Callable[..., object], *arguments, **options) -> float:
    """Return the processor time of the programs that ``work`` runs, whatever else the machine does."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work(*arguments, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
