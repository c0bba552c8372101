"""The Vivado projects of a build: vivado/ with the RTL as its IP, vivado_hls/ with the IP that Vitis HLS exports."""

from __future__ import annotations

from pathlib import Path

from flow.state import Build
from flow.vendor import ROUTES
from flow.workspace import Workspace


def scripts_folder(workspace: Workspace, route: str) -> Path:
    """Return the folder of the Vivado scripts of a route, "rtl" or "hls"."""
    return workspace.folder / {"rtl": "vivado", "hls": "vivado_hls"}[route]


def project_folder(workspace: Workspace, route: str) -> Path:
    """Return the folder of the project of a route, "rtl" or "hls"."""
    return {"rtl": workspace.rtl, "hls": workspace.hls}[route]


def vivado(build: Build) -> None:
    """Write Vivado scripts (IP, block design, bitstream, reports) of the RTL and of the HLS project."""
    from flow.emit.vivado import emit_vivado, unsupported

    reason, workspace = unsupported(build.target), build.workspace
    for route in ROUTES:
        with workspace.fresh(scripts_folder(workspace, route)) as folder:
            if reason:
                (folder / "README.txt").write_text(f"No Vivado scripts: {reason}.\n", encoding="utf-8")
            else:
                emit_vivado(project_folder(workspace, route), folder, build.target, build.target.clock_mhz, route)
    (workspace.reports / "bitfile.json").unlink(missing_ok=True)  # its bitfile went with the folder
    if reason:
        build.log(reason)
