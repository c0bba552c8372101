"""Writes the Vivado scripts of an RTL or HLS project for boards with a Zynq-7000, and reads what a run of them leaves.

    accelerator.v     route rtl: the top of the IP, accelerator_top with the names of its interfaces
    package_ip.tcl    route rtl: packages the RTL project as an IP in ip/
    build.tcl         does so, or takes the IP that Vitis HLS exported; then block design, bitstream and reports
    reports/          utilization.rpt, timing.rpt, power.rpt, after a run of build.tcl
    result/           accelerator.bit, accelerator.hwh and the build id, after a run of build.tcl

The routes differ in their registers: those of the RTL are what the driver speaks to. The HLS top has only what Vitis
HLS gives it (start and done, number of frames, address of each layer's weights), so the driver does not run bitfiles of
route hls.

No Vivado was at hand when this was written: the scripts are checked under tclsh only (tests/emit/test_vivado.py).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from flow.emit.core import render
from flow.emit.ports import BUSES
from flow.errors import FlowError
from flow.plan.target import Target
from flow.project import check_project, empty_folder

ZYNQ_7000 = "xc7z"  # how its part numbers start
SCRIPTS = {"rtl": ("accelerator.v", "package_ip.tcl", "build.tcl"), "hls": ("build.tcl",)}  # of the routes
# bursts of 16 are the longest that the AXI3 ports take; buffers of PYNQ are aligned, so no realignment
DMA_PARAMETERS = {
    "c_include_sg": 0,
    "c_sg_length_width": 26,
    "c_include_mm2s": 1,
    "c_m_axi_mm2s_data_width": 64,
    "c_m_axis_mm2s_tdata_width": 64,
    "c_include_mm2s_dre": 0,
    "c_mm2s_burst_size": 16,
    "c_include_s2mm": 1,
    "c_m_axi_s2mm_data_width": 64,
    "c_s_axis_s2mm_tdata_width": 32,
    "c_include_s2mm_dre": 0,
    "c_s2mm_burst_size": 16,
}
RESULTS = ("accelerator.bit", "accelerator.hwh")
DDR_RANGE = 0x2000_0000  # 512 MiB, on both PYNQ boards
ACCELERATOR_ADDRESS, ACCELERATOR_RANGE = 0x43C0_0000, 0x1000
DMA_ADDRESS, DMA_RANGE = 0x4040_0000, 0x1_0000
UTILIZATION = {"lut": "(?:Slice|CLB) LUTs", "ff": "(?:Slice|CLB) Registers", "bram36": "Block RAM Tile", "dsp": "DSPs"}
NUMBER = r"-?\d+(?:\.\d+)?"


@dataclass(frozen=True)
class Ip:
    """The names of the accelerator's IP: interfaces, pins, the segment of its registers, each master's address
    space."""

    control: str
    pixels: str
    logits: str
    clock: str
    reset: str
    registers: str
    masters: dict[str, str]


RTL_IP = Ip("s_axi", "s_axis", "m_axis", "clk_i", "rst_ni", "reg0", {"m_axi": "m_axi"})


def unsupported(target: Target) -> str | None:
    """Return the reason why there are no scripts for ``target``, or None if there are."""
    if target.part.startswith(ZYNQ_7000):
        if target.pll_mhz is None or not target.processor:
            return f"{target.name}: the Vivado scripts set its clock by pll_mhz and processor: give both in its file"
        return None
    return (
        f"{target.name}: the Vivado scripts know the processor of Zynq-7000 parts ({ZYNQ_7000}...), not "
        f"{target.part}: use --target pynq-z1 or pynq-z2, or put the RTL project into a design of your own"
    )


def emit_vivado(project: Path, folder: Path, target: Target, clock_mhz: float, route: str = "rtl") -> Path:
    """Write the Vivado scripts of ``project`` into ``folder``, which is emptied first; return it.

    Args:
        route: what ``project`` is: "rtl", or "hls", whose IP Vitis HLS must have exported before build.tcl runs.

    Raises:
        FlowError: the target has no Zynq-7000, the clock is not that of the project, or the folder holds something
            else.
        VerificationError: a file of the project is not what was emitted.
    """
    project, folder = Path(project).resolve(), Path(folder).resolve()
    if reason := unsupported(target):
        raise FlowError(reason)
    manifest = check_project(project)
    if manifest["clock_mhz"] != clock_mhz:
        emitted = f"{manifest['clock_mhz']:g} MHz, not {clock_mhz:g}"
        raise FlowError(f"{project} was emitted for {emitted}: emit it again (--fresh)")
    values = {
        **(_rtl_values if route == "rtl" else _hls_values)(manifest),
        "route": route,
        "dma": DMA_PARAMETERS,
        "build_id": manifest["build_id"],
        "target": target.name,
        "part": target.part,
        "board_part": target.board_part,
        "clock_mhz": f"{clock_mhz:g}",
        "pll_mhz": f"{target.pll_mhz:g}",
        "processor": target.processor,
        "emitted": os.path.relpath(project, folder),  # so that the two can be moved together
    }
    texts = {name: render("vivado", name, **values) for name in SCRIPTS[route]}
    empty_folder(folder, "build.tcl", "folder of Vivado scripts")
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def _rtl_values(manifest: dict) -> dict:
    return {
        **block_design(ddr=bool(manifest["regions"])),
        "top": manifest["top"],
        "ports": manifest["ports"],
        "sources": [name for name in manifest["files"] if name.endswith(".sv")],
        "memories": [name for name in manifest["files"] if name.endswith(".hex")],
    }


def _hls_values(manifest: dict) -> dict:
    ip = hls_ip(manifest["interfaces"])
    return {**block_design(ddr=bool(ip.masters), ip=ip), "memories": []}  # Vitis HLS packs its memories itself


def hls_ip(interfaces: list[dict]) -> Ip:
    """Return the IP that Vitis HLS makes of a top with these INTERFACE pragmas; names as UG1399 gives them."""
    control = next(i["bundle"] for i in interfaces if (i["mode"], i["port"]) == ("s_axilite", "return"))
    bundles = [i["bundle"] for i in interfaces if i["mode"] == "m_axi"]
    masters = {f"m_axi_{bundle}": f"Data_m_axi_{bundle}" for bundle in bundles}
    return Ip(f"s_axi_{control}", "pixels", "logits", "ap_clk", "ap_rst_n", "Reg", masters)


def results(folder: Path, build_id: str) -> list[Path]:
    """Return accelerator.bit and .hwh that build.tcl in ``folder`` made of the build ``build_id``; none if it made
    none."""
    result = Path(folder) / "result"
    files = [result / name for name in (*RESULTS, "build_id")]
    if not all(path.is_file() for path in files) or files[-1].read_text().strip() != build_id:
        return []
    return files[:-1]


def read_reports(folder: Path) -> dict[str, float | str]:
    """Return the figures of the placed and routed design, processor and DMA included, from the reports in ``folder``.

    Returns:
        lut, ff, bram36, dsp; worst_negative_slack_ns (Vivado's name: positive when timing is met); power_w, estimated;
        tool, its name and version.

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


def block_design(ddr: bool, ip: Ip = RTL_IP) -> dict:
    """Return the parts of the block design that depend on each other: cells, their clocks and resets, addresses.

    ``ddr``: the IP reads weights from DDR.
    """
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
