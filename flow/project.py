"""What emitted HLS and RTL projects have in common: a manifest with the checksum and the layer of every file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from flow.errors import FlowError, VerificationError

DDR_FILE = "ddr_weights.bin"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read_manifest(project: Path) -> dict:
    """The project's manifest.

    Raises:
        FlowError: there is none that can be read.
    """
    path = project / "manifest.json"
    try:
        manifest = json.loads(path.read_bytes())
        manifest["files"].items(), manifest["regions"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FlowError(f"{path} cannot be read ({error}): emit the project again (--fresh)") from error
    return manifest


def check_project(project: Path) -> dict:
    """The project's manifest, after a look at every file that it lists.

    Raises:
        VerificationError: a file is missing or differs from its SHA-256; names its layer.
        FlowError: there is no readable manifest.
    """
    manifest = read_manifest(project)
    for name, entry in manifest["files"].items():
        data = (project / name).read_bytes() if (project / name).is_file() else None
        if data is None or sha256(data) != entry["sha256"]:
            layer = entry["layer"] or (
                _damaged_region(data, manifest["regions"]) if Path(name).name == DDR_FILE else None
            )
            whose = f"layer {layer}: " if layer else ""
            what = "is missing" if data is None else "is not what was emitted (SHA-256 differs)"
            raise VerificationError(f"{whose}{project / name} {what}: emit the project again (--fresh)")
    return manifest


def _damaged_region(data: bytes | None, regions: list[dict]) -> str | None:
    for region in regions:
        if data is not None and sha256(data[region["offset"] : region["offset"] + region["bytes"]]) != region["sha256"]:
            return region["layer"]
    return None
