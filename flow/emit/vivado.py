"""Writes the Vivado scripts of an RTL or HLS project for boards with a Zynq-7000, and reads what a run of them leaves.

    accelerator.v     route rtl: the top of the IP, accelerator_top with the names of its interfaces
    package_ip.tcl    route rtl: packages the RTL project as an IP in ip/
    build.tcl         does so, or takes the IP that Vitis HLS exported; then block design, bitstream and reports
    reports/          utilization.rpt, timing.rpt, power.rpt, after a run of build.tcl
    result/           accelerator.bit, accelerator.hwh and the build id, after a run of build.tcl

The routes differ in their registers: those of the RTL are what the driver speaks to. The HLS top has only what Vitis HLS gives
it (start and done, number of frames, address of each layer's weights), so the driver does not run bitfiles of route hls.

No Vivado was at hand when this was written: the scripts are checked under tclsh only (tests/emit/test_vivado.py).
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import jinja2

from flow.errors import FlowError
from flow.plan.target import Target
from flow.project import check_project

TEMPLATES = Path(__file__).parent / "templates" / "vivado"
ZYNQ_7000 = "xc7z"  # how its part numbers start
BUSES = {"s_axi": "slave", "s_axis": "slave", "m_axis": "master", "m_axi": "master"}
PARAMETERS = {  # of the first port of an interface
    "clk_i": "ASSOCIATED_RESET rst_ni",
    "rst_ni": "POLARITY ACTIVE_LOW",
    "s_axi": "PROTOCOL AXI4LITE",
    "m_axi": "PROTOCOL AXI4, READ_WRITE_MODE READ_ONLY, MAX_BURST_LENGTH 16, NUM_READ_OUTSTANDING 8, SUPPORTS_NARROW_BURST 0",
}
SCRIPTS = {"rtl": ("accelerator.v", "package_ip.tcl", "build.tcl"), "hls": ("build.tcl",)}  # of the routes
RESULTS = ("accelerator.bit", "accelerator.hwh")
DDR_RANGE = 0x2000_0000  # 512 MiB, on both PYNQ boards
ACCELERATOR_ADDRESS, ACCELERATOR_RANGE = 0x43C0_0000, 0x1000
DMA_ADDRESS, DMA_RANGE = 0x4040_0000, 0x1_0000
UTILIZATION = {"lut": "(?:Slice|CLB) LUTs", "ff": "(?:Slice|CLB) Registers", "bram36": "Block RAM Tile", "dsp": "DSPs"}
NUMBER = r"-?\d+(?:\.\d+)?"


@dataclass(frozen=True)
class Port:
    """A port of the top. ``interface`` is type and name, ``signal`` its name in the interface, ``bits`` 0 for a plain wire."""

    direction: str
    bits: int
    name: str
    interface: str
    signal: str
    parameter: str | None = None


@dataclass(frozen=True)
class Ip:
    """What the accelerator's IP calls its interfaces and pins, the segment of its registers, and each master's address space."""

    control: str
    pixels: str
    logits: str
    clock: str
    reset: str
    registers: str
    masters: dict[str, str]


RTL_IP = Ip("s_axi", "s_axis", "m_axis", "clk_i", "rst_ni", "reg0", {"m_axi": "m_axi"})


def unsupported(target: Target) -> str | None:
    """Why there are no scripts for ``target``, or None if there are."""
    if target.part.startswith(ZYNQ_7000):
        return None
    return (
        f"{target.name}: the Vivado scripts know the processor of Zynq-7000 parts ({ZYNQ_7000}...), not {target.part}: use "
        "--target pynq-z1 or pynq-z2, or put the RTL project into a design of your own"
    )


def emit_vivado(project: Path, folder: Path, target: Target, clock_mhz: float, route: str = "rtl") -> Path:
    """Writes the Vivado scripts of ``project`` into ``folder``, which is emptied first; returns it.

    Args:
        route: what ``project`` is: "rtl", or "hls", whose IP Vitis HLS must have exported before build.tcl runs.

    Raises:
        FlowError: the target has no Zynq-7000, the clock is not that of the project, or the folder holds something else.
        VerificationError: a file of the project is not what was emitted.
    """
    project, folder = Path(project).resolve(), Path(folder).resolve()
    if reason := unsupported(target):
        raise FlowError(reason)
    manifest = check_project(project)
    if manifest["clock_mhz"] != clock_mhz:
        emitted = f"{manifest['clock_mhz']:g} MHz, not {clock_mhz:g}"
        raise FlowError(f"{project} was emitted for {emitted}: emit it again (--fresh)")
    if folder.exists() and any(folder.iterdir()) and not (folder / "build.tcl").is_file():
        raise FlowError(f"{folder} is not empty and holds no build.tcl: remove it or name another folder")
    values = {
        **(_rtl_values if route == "rtl" else _hls_values)(project, manifest),
        "route": route,
        "build_id": manifest["build_id"],
        "target": target.name,
        "part": target.part,
        "board_part": target.board_part,
        "clock_mhz": f"{clock_mhz:g}",
        "emitted": os.path.relpath(project, folder),  # so that the two can be moved together
    }
    texts = {name: _render(f"{name}.j2", values) for name in SCRIPTS[route]}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def _rtl_values(project: Path, manifest: dict) -> dict:
    return {
        **_block_design(ddr=bool(manifest["regions"])),
        "top": manifest["top"],
        "ports": top_ports(project / "rtl" / f"{manifest['top']}.sv"),
        "sources": [name for name in manifest["files"] if name.endswith(".sv")],
        "memories": [name for name in manifest["files"] if name.endswith(".hex")],
    }


def _hls_values(project: Path, manifest: dict) -> dict:
    ip = hls_ip(project / "src" / "accelerator.cpp")
    return {**_block_design(ddr=bool(ip.masters), ip=ip), "memories": []}  # Vitis HLS packs its memories itself


def hls_ip(path: Path) -> Ip:
    """The IP that Vitis HLS makes of the top ``path``: interfaces by its INTERFACE pragmas, names as UG1399 gives them.

    Raises:
        FlowError: it has no pixels, logits or control.
    """
    pragmas = re.findall(
        r"^#pragma HLS INTERFACE mode=(\w+) port=(\w+)(?: bundle=(\w+))?",
        path.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    bundles = {(mode, port): bundle for mode, port, bundle in pragmas}
    for mode, port in (("axis", "pixels"), ("axis", "logits"), ("s_axilite", "return")):
        if (mode, port) not in bundles:
            raise FlowError(f"{path}: no INTERFACE of mode {mode} for port {port}: emit the project again (--fresh)")
    control = f"s_axi_{bundles['s_axilite', 'return']}"
    masters = {f"m_axi_{bundle}": f"Data_m_axi_{bundle}" for (mode, _), bundle in bundles.items() if mode == "m_axi"}
    return Ip(control, "pixels", "logits", "ap_clk", "ap_rst_n", "Reg", masters)


def top_ports(path: Path) -> list[Port]:
    """The ports of the emitted top ``path``, but for those of simulation.

    Raises:
        FlowError: a port belongs to no interface that the scripts know.
    """
    text = re.sub(
        r"^`ifdef FLOW_TAPS$.*?^`endif$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    declaration = r"^ +(input|output) +logic +(?:\[ *(\d+):0\] +)?(\w+),?$"
    ports, seen = [], set()
    for direction, last_bit, name in re.findall(declaration, text.split("\n);", 1)[0], re.MULTILINE):
        bus, _, signal = name.rpartition("_")
        if bus in BUSES:
            kind = "axis" if bus.endswith("axis") else "aximm"
            interface, signal, key = f"interface:{kind}:1.0 {bus}", signal.upper(), bus
        elif name in ("clk_i", "rst_ni"):
            kind, signal = ("clock", "CLK") if name == "clk_i" else ("reset", "RST")
            interface, key = f"signal:{kind}:1.0 {name}", name
        else:
            raise FlowError(
                f"{path}: port {name} is of none of the interfaces {', '.join(BUSES)}: emit the project again"
            )
        parameter = None if key in seen else PARAMETERS.get(key)
        ports.append(Port(direction, int(last_bit) + 1 if last_bit else 0, name, interface, signal, parameter))
        seen.add(key)
    return ports


def results(folder: Path, build_id: str) -> list[Path]:
    """accelerator.bit and .hwh that build.tcl in ``folder`` made of the build ``build_id``; empty if there are none of it."""
    result = Path(folder) / "result"
    files = [result / name for name in (*RESULTS, "build_id")]
    if not all(path.is_file() for path in files) or files[-1].read_text().strip() != build_id:
        return []
    return files[:-1]


def read_reports(folder: Path) -> dict[str, float | str]:
    """What the reports of a build in ``folder`` say of the placed and routed design, processor and DMA included.

    Returns:
        lut, ff, bram36, dsp; worst_negative_slack_ns (Vivado's name: positive when timing is met); power_w, estimated; tool,
        its name and version.

    Raises:
        FlowError: a report is missing or does not hold a figure.
    """
    reports = Path(folder) / "reports"
    figures = {}
    for name, title in UTILIZATION.items():
        figures[name] = _figure(reports / "utilization.rpt", title, rf"^\| *{title}\*? *\| *({NUMBER}) *\|")
    summary = rf"Design Timing Summary.*?^ *WNS\(ns\)[^\n]*\n[ -]+\n *({NUMBER}) "
    figures["worst_negative_slack_ns"] = _figure(
        reports / "timing.rpt", "WNS(ns) of the Design Timing Summary", summary
    )
    power = rf"^\| *Total On-Chip Power \(W\) *\| *({NUMBER}) "
    figures["power_w"] = _figure(reports / "power.rpt", "Total On-Chip Power (W)", power)
    version = r"^\| *Tool Version *: *(Vivado v\.\S+)"
    return {**figures, "tool": _found(reports / "utilization.rpt", "Tool Version", version)}


def _figure(path: Path, what: str, pattern: str) -> float:
    return float(_found(path, what, pattern))


def _found(path: Path, what: str, pattern: str) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise FlowError(f"{path} cannot be read ({error.strerror}): run build.tcl in Vivado first") from error
    found = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    if not found:
        raise FlowError(
            f"{path} does not give {what}: it is no report of a routed design; run build.tcl in Vivado again"
        )
    return found[1]


def _block_design(ddr: bool, ip: Ip = RTL_IP) -> dict:
    """The parts of the block design that depend on each other: cells, their clocks and resets, addresses."""
    interconnects = [("control", 1, 2), ("frames", 2, 1)]  # name, slave ports, master ports
    interconnects += [("weights", len(ip.masters), 1)] * ddr
    ports = [
        f"{name}/{side}{index:02}"
        for name, slaves, masters in interconnects
        for side, count in (("S", slaves), ("M", masters))
        for index in range(count)
    ]
    ps = ["M_AXI_GP0_ACLK", "S_AXI_HP0_ACLK"] + ["S_AXI_HP1_ACLK"] * ddr
    dma = ["s_axi_lite_aclk", "m_axi_mm2s_aclk", "m_axi_s2mm_aclk"]
    clocked = [f"ps/{name}" for name in ps] + [f"dma/{name}" for name in dma]
    clocked += [f"accelerator/{ip.clock}", "resets/slowest_sync_clk"]
    addresses = [
        ("ps/Data", f"accelerator/{ip.control}/{ip.registers}", ACCELERATOR_ADDRESS, ACCELERATOR_RANGE),
        ("ps/Data", "dma/S_AXI_LITE/Reg", DMA_ADDRESS, DMA_RANGE),
        ("dma/Data_MM2S", "ps/S_AXI_HP0/HP0_DDR_LOWOCM", 0, DDR_RANGE),
        ("dma/Data_S2MM", "ps/S_AXI_HP0/HP0_DDR_LOWOCM", 0, DDR_RANGE),
    ]
    if ddr:
        addresses += [
            (f"accelerator/{space}", "ps/S_AXI_HP1/HP1_DDR_LOWOCM", 0, DDR_RANGE) for space in ip.masters.values()
        ]
    return {
        "ddr": ddr,
        "ip": ip,
        "interfaces": [(name, mode) for name, mode in BUSES.items() if name != "m_axi" or ddr],
        "interconnects": interconnects,
        "clocked": clocked + [f"{name}/ACLK" for name, _, _ in interconnects] + [f"{port}_ACLK" for port in ports],
        "resettable": [f"accelerator/{ip.reset}", "dma/axi_resetn"] + [f"{port}_ARESETN" for port in ports],
        "addresses": [
            (space, segment, f"0x{offset:08X}", f"0x{size:08X}") for space, segment, offset, size in addresses
        ],
    }


def _braced(text: str) -> str:
    """A Tcl word that stands for ``text`` as it is."""
    if re.search(r"[{}\\]", text):
        raise FlowError(f"{text!r}: a brace or backslash cannot go into a Tcl script: rename the folder")
    return f"{{{text}}}"


def _render(template: str, values: dict) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["braced"] = _braced
    return environment.get_template(template).render(**values)
