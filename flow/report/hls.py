"""What Vitis HLS says of the accelerator: csynth.xml and the report of cosimulation, of 2022.2 to 2024.2."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from flow.errors import FlowError
from flow.plan.hls_fifos import STAGES

MEANT_II = 1  # of every loop but the one over frames, whose body is the dataflow region
SOLUTION = Path("accelerator", "solution1")
FRAME_LOOP = "dataflow_parent_loop"  # begins the name of the module that Vitis HLS may make of the loop over frames
LOOP_FIGURES = ("TripCount", "Latency", "PipelineII")
RESOURCES = ("BRAM_18K", "DSP", "FF", "LUT")
ISSUES_SHOWN = 8


@dataclass(frozen=True)
class Loop:
    """A loop: its module, its name, its initiation interval, and the stages of its pipeline; neither where Vitis HLS
    made no pipeline of it."""

    module: str
    name: str
    ii: int | None
    depth: int | None


@dataclass(frozen=True)
class HlsReport:
    """Figures of csynth.xml. ``latency`` of a frame and ``interval`` between two are cycles of the dataflow region,
    None where Vitis HLS does not know them; ``dataflow``: is there such a region? ``used`` and ``available`` are by
    Vitis' names of resources. ``pragmas`` are those that it did not take as they are, with its messages."""

    version: str
    target_ns: float
    uncertainty_ns: float
    estimated_ns: float
    dataflow: bool
    latency: int | None
    interval: int | None
    used: dict[str, int]
    available: dict[str, int]
    loops: list[Loop] = field(default_factory=list)
    pragmas: list[str] = field(default_factory=list)
    cosim: str | None = None
    cosim_cycles: int | None = None

    def as_dict(self) -> dict:
        """Return what the summary says of it."""
        pipelined = [loop for loop in self.loops if loop.ii is not None]
        return {
            "tool": f"Vitis HLS {self.version}",
            "target_ns": self.target_ns,
            "uncertainty_ns": self.uncertainty_ns,
            "estimated_ns": self.estimated_ns,
            "frame_latency_cycles": self.latency,
            "frame_interval_cycles": self.interval,
            "used": self.used,
            "available": self.available,
            "pipelined_loops": len(pipelined),
            "largest_ii": max((loop.ii for loop in pipelined), default=None),
            "deepest_pipeline": max((loop.depth or 0 for loop in pipelined), default=None),
            "pragmas_not_taken": self.pragmas,
            "cosimulation": self.cosim,
            "cosimulation_cycles": self.cosim_cycles,
        }

    def issues(self) -> list[str]:
        """Return what is not as it was meant, each by its name; none where all is well."""
        found = [] if self.dataflow else ["no module is a dataflow region, so processes and frames do not overlap"]
        if not self.loops:
            found.append("no loop is listed, so nothing says that one takes a beat a cycle")
        for loop in self.loops:
            if loop.ii is None:
                found.append(f"loop {loop.name} of {loop.module} is no pipeline")
            elif loop.ii > MEANT_II:
                found.append(
                    f"loop {loop.name} of {loop.module} takes a beat every {loop.ii} cycles instead of {MEANT_II}"
                )
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

    def remarks(self, planned_cycles: int) -> list[str]:
        """Return what may be wrong, though it stops nothing.

        Args:
            planned_cycles: between two frames.
        """
        found = []
        if self.target_ns - self.uncertainty_ns < self.estimated_ns <= self.target_ns:
            found.append(
                f"the clock is estimated at {self.estimated_ns:g} ns: {self.target_ns:g} less {self.uncertainty_ns:g} "
                "for what routing adds is violated, and Vivado may miss the clock"
            )
        if self.interval is None:
            found.append("csynth.xml does not know the cycles between two frames")
        elif self.interval > planned_cycles:
            found.append(f"a frame takes {self.interval:,} cycles by csynth.xml, and {planned_cycles:,} by the plan")
        if self.cosim is None:
            found.append("there is no report of a cosimulation: nothing compares the logits of the Verilog")
        found += [
            f"loop {loop.name} of {loop.module} has {loop.depth} stages, more than FIFOs allow for: where its input "
            "stalls it may withhold more than they hold"
            for loop in self.loops
            if loop.depth is not None and loop.depth > STAGES
        ]
        return found + self.pragmas


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
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # the last two: of an encoding
        raise FlowError(f"{path} is no report of Vitis HLS ({error}): run run_hls.tcl again") from error

    def text(tag: str) -> str:
        value = root.findtext(tag)
        if value is None:
            raise FlowError(f"{path} does not give {tag}: it is no csynth.xml of Vitis HLS 2022.2 to 2024.2")
        return value.strip()

    def number(tag: str) -> float:
        value = text(tag)
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
            raise FlowError(f"{path} gives {value!r} as {tag}, which is no number: run run_hls.tcl again")
        return float(value)

    used, available = (
        {name: int(number(f"AreaEstimates/{part}/{name}")) for name in RESOURCES}
        for part in ("Resources", "AvailableResources")
    )
    top = text("UserAssignments/TopModelName")
    modules = [(top, root)]
    modules += [(module.findtext("Name", "?"), module) for module in root.findall("ModuleInformation/Module")]
    region = next((module for _, module in modules if _pipeline_type(module) == "dataflow"), None)
    cosim, cycles = _cosim(Path(project) / SOLUTION / "sim" / "report" / f"{top}_cosim.rpt")
    return HlsReport(
        version=text("ReportVersion/Version"),
        target_ns=number("UserAssignments/TargetClockPeriod"),
        uncertainty_ns=number("UserAssignments/ClockUncertainty"),
        estimated_ns=number("PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod"),
        dataflow=region is not None,
        latency=_overall(region, "Worst-caseLatency"),
        interval=_overall(region, "PipelineInitiationInterval", "Interval-max"),
        used=used,
        available=available,
        loops=[
            loop
            for name, module in modules
            for loop in _loops(name, module)
            if loop.ii is not None or not (name == top or name.startswith(FRAME_LOOP))
        ],
        pragmas=list(_pragmas_not_taken(root)),
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


def _loops(module: str, element: ElementTree.Element) -> Iterator[Loop]:
    """Yield the loops of a module, each an element named by its tag, and the module itself where it is a pipeline."""
    for loop in element.iterfind("PerformanceEstimates/SummaryOfLoopLatency//*"):
        if any(loop.find(figure) is not None for figure in LOOP_FIGURES):
            name = loop.findtext("Name") or loop.tag
            yield Loop(module, name, _number(loop.findtext("PipelineII")), _number(loop.findtext("PipelineDepth")))
    if _pipeline_type(element).startswith(("yes", "function")):
        yield Loop(
            module, "(itself)", _overall(element, "PipelineInitiationInterval"), _overall(element, "PipelineDepth")
        )


def _pipeline_type(module: ElementTree.Element) -> str:
    """Return "dataflow", "yes" or "function..." of pipelines, "no", ...: beside the latency, of the top beside that."""
    estimates = "PerformanceEstimates"
    places = (f"{estimates}/SummaryOfOverallLatency/PipelineType", f"{estimates}/PipelineType")
    return next((found.strip() for place in places if (found := module.findtext(place))), "")


def _overall(module: ElementTree.Element | None, *tags: str) -> int | None:
    """Return the first of the figures of a whole module that it has."""
    overall = None if module is None else module.find("PerformanceEstimates/SummaryOfOverallLatency")
    numbers = (_number(overall.findtext(tag)) for tag in tags) if overall is not None else ()
    return next((number for number in numbers if number is not None), None)


def _number(text: str | None) -> int | None:
    """Return a number of a report; None for what depends on data ("undef", "?", "-") or is not there."""
    text = (text or "").strip()
    return int(text) if re.fullmatch(r"[0-9]+", text) else None


def _pragmas_not_taken(root: ElementTree.Element) -> Iterator[str]:
    """Yield a line for each pragma that Vitis HLS calls invalid, ignored or doubtful."""
    for pragma in root.iterfind("PragmaReport/Pragma"):
        if pragma.get("status", "valid") == "valid":
            continue
        bodies = [m.get("msg_body", "") for m in pragma.iterfind("Msg") if m.get("msg_severity") != "INFO"]
        said = f": {'; '.join(dict.fromkeys(bodies))}" if bodies else ""
        what = f"{pragma.get('type', '?')} {pragma.get('options', '')}".strip()
        yield f"pragma {what} at {pragma.get('location', '?')} is {pragma.get('status')} by Vitis HLS{said}"


def _cosim(path: Path) -> tuple[str | None, int | None]:
    """Return how cosimulation of the Verilog ended and its longest latency; None where it did not run."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None, None
    except OSError as error:
        raise FlowError(f"{path} cannot be read ({error.strerror}): run run_hls.tcl in Vitis HLS again") from error
    found = re.search(r"^\| *Verilog *\| *(\w+) *\| *(\w+) *\| *(\w+) *\| *(\w+) *\|", text, re.MULTILINE)
    if not found:
        return "no result", None
    return found[1], _number(found[4])
