"""Emitted projects: a manifest with the checksum and the layer of every file."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from flow.errors import FlowError, VerificationError

MANIFEST = "manifest.json"
DDR_FILE = "ddr_weights.bin"


def empty_folder(folder: Path, marker: str, what: str, subfolders: Iterable[str] = ()) -> None:
    """Make ``folder`` empty but for ``subfolders``, which are made.

    Raises:
        FlowError: it holds files, and not the file ``marker``, which shows that it is ``what``.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / marker).is_file():
        raise FlowError(
            f"{folder} is not empty and holds no {marker}, so it is no {what}: remove it or name another folder"
        )
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("", *subfolders):
        (folder / name).mkdir(parents=True, exist_ok=True)


def sha256(data: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def write_manifest(project: Path, content: dict, layers: dict[Path, str]) -> None:
    """Write the project's manifest: ``content``, and SHA-256 and layer of every file in it."""
    files = {
        str(path.relative_to(project)): {"sha256": sha256(path.read_bytes()), "layer": layers.get(path)}
        for path in sorted(project.rglob("*"))
        if path.is_file()
    }
    text = json.dumps({**content, "files": files}, indent=1) + "\n"
    (project / MANIFEST).write_text(text, encoding="utf-8")


def read_manifest(project: Path) -> dict:
    """Return the project's manifest.

    Raises:
        FlowError: there is none that can be read.
    """
    path = project / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        manifest["files"].items(), manifest["regions"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FlowError(f"{path} cannot be read ({error}): emit the project again (--fresh)") from error
    return manifest


def check_project(project: Path) -> dict:
    """Return the project's manifest, after a look at every file that it lists.

    Raises:
        VerificationError: a file is missing or differs from its SHA-256; names its layer.
        FlowError: there is no readable manifest.
    """
    manifest = read_manifest(project)
    for name, entry in manifest["files"].items():
        data = (project / name).read_bytes() if (project / name).is_file() else None
        if data is None or sha256(data) != entry["sha256"]:
            damaged = _damaged_region(data, manifest["regions"]) if Path(name).name == DDR_FILE else None
            layer = entry["layer"] or damaged
            whose = f"layer {layer}: " if layer else ""
            what = "is missing" if data is None else "is not what was emitted (SHA-256 differs)"
            raise VerificationError(f"{whose}{project / name} {what}: emit the project again (--fresh)")
    return manifest


def _damaged_region(data: bytes | None, regions: list[dict]) -> str | None:
    for region in regions:
        if data is not None and sha256(data[region["offset"] : region["offset"] + region["bytes"]]) != region["sha256"]:
            return region["layer"]
    return None
