"""Hold the cost models against synthesis on whole builds, none of which is among the points that they are fitted to.

    python benchmarks/cost_fit.py                  # the table below for every build, written to benchmarks/cost_fit.md
    python benchmarks/cost_fit.py --only bnn

Each build goes as far as its RTL, which is then synthesised by Yosys (flow synth); netlists are cached, a full-width
network takes some minutes of two cores the first time. "path" is the plan's bound of the longest path and that of
flow timing, in ns. The networks of other people are Brevitas' examples, with random weights.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

import flow
from flow.errors import FlowError

STORE = Path(__file__).with_suffix(".md")
RESOURCES = ("lut", "ff", "bram36", "dsp")
DIGITS = {"bram36": 1}
BUILDS = {
    "demo: bireal18 qat": {"model": "bireal18", "strategy": "qat"},
    "bireal18 qat maj3": {"model": "bireal18", "strategy": "qat", "voter": "maj3"},
    "reactnet18 qat": {"model": "reactnet18", "strategy": "qat"},
    "reactnet18 qat, width 16": {"model": "reactnet18", "strategy": "qat", "width": 16},
    "reactnet18 none, width 16": {"model": "reactnet18", "strategy": "none", "width": 16},
    "bireal18 none, width 64": {"model": "bireal18", "strategy": "none", "fps": 100},
    "bnn_cifar10 none, width 16": {"model": "bnn_cifar10", "strategy": "none", "width": 16},
    "Brevitas CNV 1W2A": {"network": ("cnv", 1, 2), "pixels": (-1, 1), "fps": 100},
    "Brevitas CNV 2W2A": {"network": ("cnv", 2, 2), "pixels": (-1, 1), "fps": 20},
    "Brevitas SFC 1W1A": {"network": ("sfc", 1, 1), "pixels": (-1, 1), "fps": 1000},
}
WIDTHS = {"tfc": 64, "sfc": 256, "lfc": 1024}  # of the three hidden layers


def bnn_pynq(name: str, weights: int, activations: int) -> nn.Module:
    """Return an example network of Brevitas with random weights, its statistics settled on random images."""
    from brevitas_examples.bnn_pynq.models.CNV import CNV
    from brevitas_examples.bnn_pynq.models.FC import FC

    torch.manual_seed(0)
    if name == "cnv":
        shape, network = (3, 32, 32), CNV(10, weights, activations, 8, 3)
    else:
        shape = (1, 28, 28)
        network = FC(
            num_classes=10,
            weight_bit_width=weights,
            act_bit_width=activations,
            in_bit_width=activations,
            in_channels=1,
            out_features=[WIDTHS[name]] * 3,
            in_features=shape[1:],
        )
    with torch.no_grad():
        for _ in range(4):
            network(torch.rand(64, *shape) * 2 - 1)
    return network.eval()


def measure(options: dict, folder: Path) -> dict:
    """Return plan and synthesis of a build, with the platform's share, and both longest paths."""
    if "network" in options:
        shape = (32, 32, 3) if options["network"][0] == "cnv" else (28, 28, 1)
        images = np.random.default_rng(0).integers(0, 256, (64, *shape), np.uint8)
        options = {**options, "network": bnn_pynq(*options["network"]), "images": images}
    planned = flow.build(last="rtl", target="pynq-z2", output=folder, **options)
    report, timing = planned.synth(), planned.timing()
    estimate = planned.workspace.load_json("plan")["plan"]
    return {
        **{name: (report["total_plan"][name], report["total"][name]) for name in RESOURCES},
        "path": (estimate["path_ns"], timing["worst_ns"]),
        "chain": timing["ready_passes_through"],
        "fps": estimate["fps"],
    }


def row(name: str, found: dict) -> str:
    """Return a line of the table: plan, synthesis, and how far the plan is off, for each resource."""
    cells = [name, f"{found['fps']:g}"]
    for resource in RESOURCES:
        plan, made = found[resource]
        off = f" ({(plan - made) / made:+.1%})" if made else ""
        cells.append(f"{plan:,.{DIGITS.get(resource, 0)}f} / {made:,.{DIGITS.get(resource, 0)}f}{off}")
    plan, made = found["path"]
    return "| " + " | ".join([*cells, f"{plan:g} / {made:g}", str(found["chain"])]) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="builds whose name has this")
    parser.add_argument("--folder", type=Path, help="of the builds; kept where it is given")
    given = parser.parse_args()
    head = ["build", "fps", *(f"{name}: plan / Yosys" for name in RESOURCES), "path", "ready through"]
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    print("\n".join(lines), flush=True)
    worst = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, options) in enumerate(BUILDS.items()):
            if given.only and given.only not in name:
                continue
            try:
                found = measure(options, (given.folder or Path(scratch)) / str(number))
            except FlowError as error:
                print(f"{name}: {error}", file=sys.stderr)
                return 1
            lines.append(row(name, found))
            worst = max(worst, *(abs(p - m) / m for p, m in (found[name] for name in RESOURCES) if m))
            print(lines[-1], flush=True)
    if not given.only:
        STORE.write_text("\n".join(lines) + "\n")
    print(f"farthest off: {worst:.1%}")
    return 0 if worst <= 0.15 else 1


if __name__ == "__main__":
    sys.exit(main())
