"""Writes the package of the driver, which runs on a board and in simulation."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

import deploy
from deploy.package import (
    CHECKSUM,
    FORMAT,
    INSTALLED,
    NETWORK,
    SAMPLES,
    SETTINGS,
    SIMULATOR,
    WEIGHTS,
    settings_text,
)
from deploy.platforms import ENVIRONMENT
from deploy.trust import note_simulator
from flow import nodes
from flow.emit.core import TEMPLATES, render
from flow.emit.network_file import write_network
from flow.library import licences
from flow.project import read_manifest, sha256

DRIVER = Path(deploy.__file__).parent
DRIVER_FILES = ("*.py", "platforms/*.py", "notebooks/__init__.py", "notebooks/*.ipynb")
DATE = (1980, 1, 1, 0, 0, 0)  # of all members, so that equal packages are equal files


def write_package(
    rtl: Path,
    library: Path,
    folder: Path,
    description: dict,
    samples: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    network: ModelWrapper | None = None,
    bitfile: Iterable[Path] = (),
) -> Path:
    """Fill ``folder`` with settings, weights, samples, and the simulator of the RTL project ``rtl``; return the folder.

    Args:
        library: the project's RTL as a shared library (flow.sim.accelerator_build).
        description: model, strategy, voter, target, labels (of the classes, may be empty), logit_scale.
        samples: images uint8 [N, H, W, C], labels [N], golden logits int32 [N, classes].
        network: the integer graph, for the comparison on a processor.
        bitfile: accelerator.bit and accelerator.hwh, where Vivado made them.

    Raises:
        FlowError: no RTL project there.
    """
    manifest = read_manifest(rtl)
    folder.mkdir(parents=True, exist_ok=True)
    if manifest["regions"]:
        shutil.copyfile(rtl / "data" / WEIGHTS, folder / WEIGHTS)
    if samples is not None:
        np.savez_compressed(folder / SAMPLES, **dict(zip(("images", "labels", "logits"), samples)))
    if network is not None:
        write_network(network, folder / NETWORK)
    for path in bitfile:
        shutil.copy(path, folder)
    simulator = folder / SIMULATOR
    simulator.parent.mkdir(parents=True)
    shutil.copyfile(library, simulator)
    for memory in (rtl / "data").glob("*.hex"):
        shutil.copy(memory, simulator.parent)
    files = {
        str(path.relative_to(folder)): sha256(path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()
    }
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
    (folder / SETTINGS).write_text(settings_text(settings))
    note_simulator(files[SIMULATOR])
    return folder


def write_zip(package: Path, path: Path) -> Path:
    """Write the file for the board, which pip installs: driver, notebook, the nodes' arithmetic, licence and package.

    The simulator in ``package`` is left out: it is a library for this machine's processor.
    """
    settings = json.loads((package / SETTINGS).read_text())
    del settings[CHECKSUM]
    settings["files"] = {name: digest for name, digest in settings["files"].items() if not name.startswith("sim/")}
    top = "popbin-{model}-{strategy}-{target}".format(**settings)
    members = {f"{INSTALLED}/{SETTINGS}": settings_text(settings).encode()}
    members |= {f"{INSTALLED}/{name}": (package / name).read_bytes() for name in settings["files"]}
    members |= driver_sources()
    members = {f"deploy/{name}": content for name, content in members.items()}
    for template in sorted((TEMPLATES / "package").iterdir()):
        members[template.stem] = render("package", template.stem, **settings, top=top, environment=ENVIRONMENT).encode()
    members |= licences()
    partial = path.with_name(f"{path.name}.part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(f"{top}/{name}", DATE)
            member.external_attr = 0o644 << 16
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)
    partial.replace(path)
    return path


def driver_sources() -> dict[str, bytes]:
    """Return the files of the package ``deploy`` as a board has it: the driver, and the nodes' own files in nodes/.

    Nodes of other folders import `deploy.nodes` there, where they are copied to.
    """
    sources = {
        str(file.relative_to(DRIVER)): file.read_bytes()
        for pattern in DRIVER_FILES
        for file in sorted(DRIVER.glob(pattern))
    }
    for file in sorted(Path(nodes.__file__).parent.glob("*.py")):
        sources[f"nodes/{file.name}"] = file.read_bytes()
    for folder in nodes.folders():
        for file in sorted(folder.glob("*.py")):
            sources[f"nodes/{file.name}"] = file.read_bytes().replace(b"flow.nodes", b"deploy.nodes")
    return sources
