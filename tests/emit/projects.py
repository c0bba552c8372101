"""Emitted projects and their Tcl scripts, run under tclsh against models of the tools (*_stubs.tcl).

The models can only be as right as public documents and block designs are: no Vivado and no Vitis HLS was at hand.
`python -m tests.emit.projects` writes the golden logs again.
"""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from flow.emit.hls import emit_hls
from flow.emit.rtl import emit_rtl
from flow.emit.vivado import emit_vivado
from flow.plan.target import load_target
from tests.graphs import small_network

HERE = Path(__file__).parent
SAMPLES = HERE / "reports"
GOLDEN = {route: HERE / f"golden_pynq_z2_{route}.log" for route in ("rtl", "hls")}
GOLDEN_RUN_HLS = HERE / "golden_run_hls.log"
BUILD_ID = "0" * 32
FOLDERS = {"rtl": "vivado", "hls": "vivado_hls"}
MASTERS = {
    "ps/Data": "ps/M_AXI_GP0",
    "dma/Data_MM2S": "dma/M_AXI_MM2S",
    "dma/Data_S2MM": "dma/M_AXI_S2MM",
}  # of address spaces
KEPT = ("rtl/accelerator_top.sv", "rtl/fifo.sv", "data/classifier_weights.hex", "data/ddr_weights.bin")
needs_tclsh = pytest.mark.skipif(shutil.which("tclsh") is None, reason="tclsh is missing: apt-get install tcl")


def emitted_project(folder, route, network=small_network, target="pynq-z2"):
    """The project that the scripts of the route take."""
    if route == "rtl":
        return emit_rtl(network(), folder / "rtl", build_id=BUILD_ID, clock_mhz=100)
    return emit_hls(network(), folder / "hls", build_id=BUILD_ID, clock_mhz=100, part=load_target(target).part)


def emitted(folder, route="rtl", network=small_network, target="pynq-z2", reduce=True):
    """The folder of the scripts, beside that of the project, of which the HLS one was run."""
    project = emitted_project(folder, route, network, target)
    if route == "hls":
        status, output, _ = run_hls(project)
        assert status == 0, output
    elif reduce:
        reduced(project)
    return emit_vivado(project, folder / FOLDERS[route], load_target(target), 100, route)


def reduced(project):
    """Leaves little of an RTL project, so that the golden log does not change with every module."""
    manifest = json.loads((project / "manifest.json").read_text())
    for name in set(manifest["files"]) - set(KEPT):
        (project / name).unlink()
    manifest["files"] = {name: entry for name, entry in manifest["files"].items() if name in KEPT}
    (project / "manifest.json").write_text(json.dumps(manifest))
    return project


def tclsh(root, *words):
    return subprocess.run(["tclsh", *words], cwd=root, capture_output=True, text=True, timeout=60)


def run(vivado, **options):
    """(exit status, stdout and stderr, log, model) of build.tcl."""
    root = vivado.parent
    log, model = root / "log", root / "model"
    model.unlink(missing_ok=True)
    words = [str(word) for pair in options.items() for word in pair]
    result = tclsh(root, HERE / "vivado_stubs.tcl", vivado / "build.tcl", root, log, model, *words)
    text = model.read_text() if model.exists() else ""
    return (
        result.returncode,
        result.stdout + result.stderr,
        log.read_text(),
        [line.split() for line in text.splitlines()],
    )


def run_hls(project):
    """(exit status, stdout and stderr, log) of run_hls.tcl."""
    root = project.parent
    result = tclsh(root, HERE / "vitis_hls_stubs.tcl", project / "run_hls.tcl", root, root / "log")
    return result.returncode, result.stdout + result.stderr, (root / "log").read_text()


def rows(model, kind):
    return {words[1]: words[2:] for words in model if words[0] == kind}


def problems(model):
    """Return what is wrong with a design: pins or interfaces open or driven twice, addresses missing or overlapping."""
    interfaces, pins = rows(model, "interface"), rows(model, "pin")
    found = [f"{name}: {len(peers)} peers" for name, (_, _, _, *peers) in interfaces.items() if len(peers) != 1]
    for name, (kind, way, *drivers) in pins.items():
        if way == "I" and (len(drivers) != 1 or (kind == "clock" and drivers != ["ps/FCLK_CLK0"])):
            found.append(f"{name}: driven by {drivers}")
    taken = {}
    for _, space, segment, offset, size in (words for words in model if words[0] == "address"):
        start, end = int(offset, 16), int(offset, 16) + int(size, 16)
        if start % (end - start):
            found.append(f"{segment} at {offset} is not aligned to its size {size}")
        found += [
            f"{segment} overlaps {other}" for other, low, high in taken.get(space, []) if start < high and low < end
        ]
        taken.setdefault(space, []).append((segment, start, end))
        master = MASTERS.get(space, space.replace("/Data_m_axi", "/m_axi"))
        if segment.rpartition("/")[0] not in reachable(interfaces, master):
            found.append(f"no way from {master} to {segment}")
    reached = {segment for rows_of_space in taken.values() for segment, _, _ in rows_of_space}
    unused = (rows(model, "space").keys() - taken.keys()) | (rows(model, "segment").keys() - reached)
    return found + [f"{name}: no address" for name in sorted(unused)]


def reachable(interfaces, master):
    """The slaves behind a master, through interconnects."""
    pending, slaves = [master], set()
    while pending:
        for peer in interfaces[pending.pop()][3:]:
            slaves.add(peer)
            if re.fullmatch(r"\w+/S\d\d_AXI", peer):
                pending += [name for name in interfaces if re.fullmatch(peer.split("/")[0] + r"/M\d\d_AXI", name)]
    return slaves


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        for route, golden in GOLDEN.items():
            golden.write_text(run(emitted(Path(name), route))[2])
        GOLDEN_RUN_HLS.write_text(run_hls(Path(name) / "hls")[2])
