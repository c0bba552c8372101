"""The package of the driver: what runs on the board, and without one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from deploy.package import FORMAT, SAMPLES, SETTINGS, SIMULATOR, WEIGHTS
from flow.project import read_manifest, sha256


def write_package(
    rtl: Path,
    library: Path,
    folder: Path,
    description: dict,
    samples: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> Path:
    """Fills ``folder`` with settings, weights, samples, and the simulator of the RTL project ``rtl``; returns the folder.

    Args:
        library: the project's RTL as a shared library (flow.sim.accelerator_build).
        description: model, strategy, voter, target, labels (of the classes, may be empty), logit_scale.
        samples: images uint8 [N, H, W, C], labels [N], golden logits int32 [N, classes].

    Raises:
        FlowError: no RTL project there.
    """
    manifest = read_manifest(rtl)
    if manifest["regions"]:
        shutil.copyfile(rtl / "data" / WEIGHTS, folder / WEIGHTS)
    if samples is not None:
        np.savez_compressed(folder / SAMPLES, **dict(zip(("images", "labels", "logits"), samples)))
    simulator = folder / SIMULATOR
    simulator.parent.mkdir(parents=True)
    shutil.copyfile(library, simulator)
    for memory in (rtl / "data").glob("*.hex"):
        shutil.copy(memory, simulator.parent)
    files = {str(path.relative_to(folder)): sha256(path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()}
    same = ("build_id", "clock_mhz", "image", "classes", "cycles_per_frame", "registers")
    settings = {
        "format": FORMAT,
        **description,
        **{name: manifest[name] for name in same},
        "layers": [layer["layer"] for layer in manifest["layers"]],
        "regions": [{name: region[name] for name in ("layer", "offset", "bytes")} for region in manifest["regions"]],
        "streams": len(manifest["streams"]),
        "files": files,
    }
    (folder / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n")
    return folder
