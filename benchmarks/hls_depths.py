"""FIFO depths of HLS projects beside the smallest that pass, which are found by search in C simulation.

    python -m benchmarks.hls_depths BUILD [BUILD ...]    # build folders, with their step hls done
    python -m benchmarks.hls_depths --random 10          # networks of tests/compiler/random_networks.py

One stream is made shallower at a time, the others are as emitted. A depth passes where two images run through. Beside
a layer that works on one frame while it takes the next, a FIFO holds more than it must not to hang: it keeps the rate,
which C simulation does not show. What pipelines withhold is no part of C simulation, either.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from flow.errors import FlowError
from flow.plan.hls_fifos import Depth, join_depths
from flow.sim.csim import CsimAccelerator, DeadlockError
from flow.workspace import Workspace

IMAGES = 2
MARGIN = 0.1  # that a calculated depth may be above the smallest that passes


def smallest(accelerator: CsimAccelerator, images: np.ndarray, tensor: str, most: int) -> int:
    """Return the smallest depth of ``tensor``, at most ``most``, with which the accelerator does not hang."""
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        try:
            accelerator.execute(images, processes=1, depths={tensor: middle})
            high = middle
        except DeadlockError:
            low = middle
    return high


def compared(model, accelerator: CsimAccelerator, images: np.ndarray) -> Iterator[tuple[str, Depth, int]]:
    """Yield each calculated depth with the smallest that passes."""
    names = {name: stream["tensors"][0] for stream in accelerator.manifest["streams"] for name in stream["tensors"]}
    for tensor, depth in join_depths(model).items():
        yield tensor, depth, smallest(accelerator, images, names[tensor], depth.beats)


def show(name: str, model, accelerator: CsimAccelerator, images: np.ndarray) -> list[str]:
    """Print a line a stream; return those whose calculated depth is too small, or too large by more than MARGIN."""
    wrong = []
    for tensor, depth, found in compared(model, accelerator, images):
        good = found <= depth.least <= max(found * (1 + MARGIN), found + 2)
        print(
            f"{name:24} {tensor:24} smallest {found:6} calculated {depth.least:6} ({depth.least / found - 1:+.1%}) "
            f"emitted {depth.beats:6}{'' if good else '  WRONG'}",
            flush=True,
        )
        wrong += [f"{name} {tensor}"] * (not good)
    return wrong


def of_build(folder: Path) -> list[str]:
    """Compare the depths of a build folder."""
    workspace = Workspace(folder)
    accelerator = CsimAccelerator(workspace.hls)
    shape = (IMAGES, *accelerator.manifest["image"])
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return show(folder.name, workspace.load_graph("hardware"), accelerator, images)


def of_random(count: int) -> list[str]:
    """Compare the depths of random networks that have a shortcut."""
    from tests.compiler.random_networks import hardware_graphs

    wrong = []
    for number, (model, images) in enumerate(hardware_graphs(count)):
        from flow.emit.hls import emit_hls

        with tempfile.TemporaryDirectory() as folder:
            project = emit_hls(model, Path(folder) / "hls", build_id="0" * 32, part="xc7z020clg400-1", clock_mhz=100)
            wrong += show(f"random {number}", model, CsimAccelerator(project), images[:IMAGES])
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("builds", nargs="*", type=Path)
    parser.add_argument("--random", type=int, default=0, metavar="N")
    arguments = parser.parse_args()
    try:
        wrong = [line for folder in arguments.builds for line in of_build(folder)]
        wrong += of_random(arguments.random) if arguments.random else []
    except FlowError as error:
        sys.exit(f"error: {error}")
    print(f"{len(wrong)} streams are too shallow, or deeper than the smallest by more than {MARGIN:.0%}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
