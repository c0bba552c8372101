"""What Vitis HLS says of the accelerator: csynth.xml and the report of cosimulation, of 2022.2 to 2024.2."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

from flow.errors import FlowError
from flow.plan.hls_fifos import STAGES

MEANT_II = 1  # of every pipelined loop
SOLUTION = Path("accelerator", "solution1")
RESOURCES = ("BRAM_18K", "DSP", "FF", "LUT")
ISSUES_SHOWN = 8


@dataclass(frozen=True)
class Loop:
    """A pipelined loop: its module, its name, its initiation interval and the stages of its pipeline."""

    module: str
    name: str
    ii: int | None
    depth: int | None


@dataclass(frozen=True)
class HlsReport:
    """Figures of csynth.xml; latency and interval in cycles, None where they depend on data. ``used`` and ``available``
    are by Vitis' names of resources."""

    version: str
    target_ns: float
    estimated_ns: float
    latency: int | None
    interval: int | None
    used: dict[str, int]
    available: dict[str, int]
    loops: list[Loop] = field(default_factory=list)
    cosim: str | None = None
    cosim_cycles: int | None = None

    def as_dict(self) -> dict:
        """Return what the summary says of it."""
        pipelined = [loop for loop in self.loops if loop.ii is not None]
        return {
            "tool": f"Vitis HLS {self.version}",
            "target_ns": self.target_ns,
            "estimated_ns": self.estimated_ns,
            "latency_cycles": self.latency,
            "interval_cycles": self.interval,
            "used": self.used,
            "available": self.available,
            "pipelined_loops": len(pipelined),
            "largest_ii": max((loop.ii for loop in pipelined), default=None),
            "deepest_pipeline": max((loop.depth or 0 for loop in pipelined), default=None),
            "cosimulation": self.cosim,
            "cosimulation_cycles": self.cosim_cycles,
        }

    def issues(self) -> list[str]:
        """Return what is not as it was meant, each by its name; none where all is well."""
        found = [
            f"loop {loop.name} of {loop.module} takes a beat every {loop.ii} cycles instead of {MEANT_II}"
            for loop in self.loops
            if loop.ii is not None and loop.ii > MEANT_II
        ]
        if self.estimated_ns > self.target_ns:
            found.append(f"the clock is estimated at {self.estimated_ns:g} ns instead of {self.target_ns:g}")
        found += [
            f"{name} {self.used[name]} of {self.available[name]} on the device"
            for name in RESOURCES
            if self.used[name] > self.available[name]
        ]
        if self.cosim not in (None, "Pass"):
            found.append(f"cosimulation ended with {self.cosim}")
        return found

    def deep_pipelines(self) -> list[Loop]:
        """Return the loops with more stages than the depths of FIFOs allow for."""
        return [loop for loop in self.loops if loop.depth is not None and loop.depth > STAGES]


def read_hls_report(project: Path) -> HlsReport:
    """Return what Vitis HLS reported of the HLS project in ``project``.

    Raises:
        FlowError: there is no report, or it lacks a figure.
    """
    path = Path(project) / SOLUTION / "syn" / "report" / "csynth.xml"
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise FlowError(f"{path} cannot be read ({error.strerror}): run run_hls.tcl in Vitis HLS first") from error
    except ElementTree.ParseError as error:
        raise FlowError(f"{path} is no report of Vitis HLS ({error}): run run_hls.tcl again") from error

    def text(tag: str, of: ElementTree.Element = root) -> str:
        value = of.findtext(tag)
        if value is None:
            raise FlowError(f"{path} does not give {tag}: it is no csynth.xml of Vitis HLS 2022.2 to 2024.2")
        return value.strip()

    used, available = (
        {name: int(text(f"AreaEstimates/{part}/{name}")) for name in RESOURCES}
        for part in ("Resources", "AvailableResources")
    )
    overall = "PerformanceEstimates/SummaryOfOverallLatency"
    cosim, cycles = _cosim(Path(project) / SOLUTION / "sim" / "report" / "accelerator_cosim.rpt")
    return HlsReport(
        version=text("ReportVersion/Version"),
        target_ns=float(text("UserAssignments/TargetClockPeriod")),
        estimated_ns=float(text("PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod")),
        latency=_number(root.findtext(f"{overall}/Worst-caseLatency")),
        interval=_number(root.findtext(f"{overall}/Interval-max")),
        used=used,
        available=available,
        loops=_loops(text("UserAssignments/TopModelName"), root)
        + [
            loop for module in root.findall("ModuleInformation/Module") for loop in _loops(text("Name", module), module)
        ],
        cosim=cosim,
        cosim_cycles=cycles,
    )


def require_good(report: HlsReport, project: Path) -> None:
    """Raise FlowError if the accelerator that Vitis HLS made is not what was meant; names what is wrong."""
    if issues := report.issues():
        more = f"; and {len(issues) - ISSUES_SHOWN} more" * (len(issues) > ISSUES_SHOWN)
        where = Path(project) / SOLUTION / "syn" / "report"
        raise FlowError(
            f"Vitis HLS {report.version} made another accelerator than was meant: "
            f"{'; '.join(issues[:ISSUES_SHOWN])}{more} (see {where})"
        )


def _loops(module: str, element: ElementTree.Element) -> list[Loop]:
    """Return the pipelined loops of a module, and the module itself where it is a pipeline."""
    estimates = element.find("PerformanceEstimates")
    if estimates is None:
        return []
    found = [
        Loop(module, loop.findtext("Name") or loop.tag, _number(loop.findtext("PipelineII")), _depth(loop))
        for loop in estimates.iterfind("SummaryOfLoopLatency//PipelineII/..")
    ]
    overall = estimates.find("SummaryOfOverallLatency")
    if overall is not None and (ii := _number(overall.findtext("PipelineInitiationInterval"))) is not None:
        pipelined = (overall.findtext("PipelineType") or estimates.findtext("PipelineType") or "").strip()
        if pipelined.startswith(("yes", "function", "loop")):
            found.append(Loop(module, "(itself)", ii if pipelined.startswith("function") else None, _depth(overall)))
    return [loop for loop in found if loop.ii is not None]


def _depth(element: ElementTree.Element) -> int | None:
    return _number(element.findtext("PipelineDepth"))


def _number(text: str | None) -> int | None:
    """Return a number of a report; None for what depends on data ("undef", "?") or is not there."""
    text = (text or "").strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _cosim(path: Path) -> tuple[str | None, int | None]:
    """Return how cosimulation of the Verilog ended and its longest latency; None where it did not run."""
    if not path.is_file():
        return None, None
    text = path.read_text(encoding="utf-8", errors="replace")
    found = re.search(r"^\| *Verilog *\| *(\w+) *\| *(\w+) *\| *(\w+) *\| *(\w+) *\|", text, re.MULTILINE)
    if not found:
        return "no result", None
    return found[1], _number(found[4])
