"""Reports of synthesis and timing of a build, by node of its graph and beside the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flow.emit.core import Names
from flow.emit.rtl import KEYWORDS, TOP_NAMES
from flow.errors import FlowError
from flow.plan.estimate import CONTROL
from flow.plan.plan import Plan
from flow.plan.target import Target, load_target
from flow.project import MANIFEST, check_project, sha256
from flow.workspace import Workspace

from .delays import LEVEL_NS
from .netlist import Area, Memory, count, flatten, memories_of, read_netlist
from .parts import Design, Part, read_design
from .synthesis import SYNTH, synthesise
from .timing import DesignTiming
from .yosys import PREPARING, Yosys, find_yosys

if TYPE_CHECKING:
    from flow.sim.rtl import RtlResult

ESTIMATED = "estimated from the netlist"
CONTROL_NODE = "control"  # the row of what is no node: registers, adapters and wires of the top
RESOURCES = ("lut", "ff", "bram36", "dsp")
WORST_PATHS = 10
Log = Callable[[str], None]


def no_log(line: str) -> None:
    """Say nothing."""


class SynthesisedBuild:
    """A finished build whose RTL has been synthesised.

    Args:
        workspace: the build folder.
        jobs: parts synthesised at a time; as many as processors by default.
        log: is called with a line for every part.

    Raises:
        FlowError: there is no Yosys, no RTL in the folder, a damaged one or that of another plan, or Yosys does not
            take a part.
    """

    def __init__(self, workspace: Workspace, jobs: int | None = None, log: Log = no_log):
        self.yosys: Yosys = find_yosys()
        self.workspace = workspace
        if not (workspace.rtl / MANIFEST).is_file():
            raise FlowError(f"{workspace.rtl} holds no RTL project: build to the step rtl first")
        self.nodes: dict[str, dict] = workspace.load_json("plan")["nodes"]  # type: ignore[call-overload]
        workspace.record.check(workspace.rtl / MANIFEST)
        manifest = check_project(workspace.rtl)
        self.target: Target = _planned_target(workspace, manifest)
        if not self.yosys.is_prepared():
            log(PREPARING)
        self.design: Design = read_design(workspace.rtl, manifest["top"], self.yosys)
        parts = [self.design.glue, *self.design.instances.values()]
        self.netlists: dict[Part, Path] = synthesise(parts, self.yosys, jobs, log, self.design.labels())

    @property
    def project(self) -> str:
        """SHA-256 of the RTL's manifest, which tells whether a report is of this RTL."""
        return manifest_digest(self.workspace)

    def instances(self) -> dict[str, list[str]]:
        """Return the instances of every node, and of the top's control."""
        names = Names({*KEYWORDS, *TOP_NAMES})  # as the emitter gives them
        found = {node: [names.take(node)] for node in self.nodes}
        taken = {name for rows in found.values() for name in rows}
        missing = sorted(taken - self.design.instances.keys())
        if missing:
            raise FlowError(f"{missing[0]} is in the plan and not in the RTL: emit it again (--fresh)")
        return {**found, CONTROL_NODE: sorted(self.design.instances.keys() - taken)}

    def synth(self) -> dict:
        """Return the resources by node, the totals, and the memories that were not mapped as planned."""
        areas, memories = self._areas_and_memories()
        rows = {}
        for node, instances in self.instances().items():
            planned = self.nodes.get(node) or {"kind": CONTROL_NODE, **CONTROL.as_dict()}
            area = reduce(add, (areas[self.design.instances[name]] for name in instances), Area())
            if node == CONTROL_NODE:
                area += areas[self.design.glue]
            rows[node] = {
                "kind": planned["kind"],
                **area.as_dict(),
                "plan": {resource: planned[resource] for resource in RESOURCES},
            }
        return {
            "origin": f"synthesised by {self.yosys.name}",
            "command": SYNTH,
            "project": self.project,
            "target": self.target.name,
            "nodes": rows,
            **self._totals(list(rows.values())),
            "memories_not_as_planned": [
                {"instance": name, **asdict(memory)}
                for name, part in self.design.instances.items()
                for memory in memories[part]
                if not memory.as_wanted
            ],
        }

    def timing(self, level_ns: float = LEVEL_NS) -> dict:
        """Return worst paths, slack and the longest chain of ready, for one delay of a LUT with its route."""
        timing = DesignTiming.of_design(self.design, self.netlists, level_ns)
        worst = timing.worst(WORST_PATHS)
        if not worst:
            raise FlowError(f"{self.workspace.rtl} has no path from register to register")
        period, longest = 1000 / self.target.clock_mhz, max(path.ns for path in worst)
        inside = {
            node: max((part.inside[0] for name in instances if (part := timing.parts[name]).inside), default=None)
            for node, instances in self.instances().items()
        }
        chain = timing.longest_ready_chain()
        return {
            "origin": ESTIMATED,
            "tool": self.yosys.name,
            "project": self.project,
            "target": self.target.name,
            "level_ns": level_ns,
            "clock_mhz": self.target.clock_mhz,
            "period_ns": round(period, 3),
            "worst_ns": round(longest, 2),
            "slack_ns": round(period - longest, 2),
            "fmax_mhz": round(1000 / longest, 1),
            "paths": [path.as_dict(period) for path in worst],
            "ready_chain": list(chain.instances),
            "ready_passes_through": chain.passes,
            "nodes": {
                node: {"levels": time.levels, "ns": round(time.ns, 2)} if time else None
                for node, time in inside.items()
            },
            "loops": timing.loops[:WORST_PATHS],
        }

    def simulate(self, images: np.ndarray) -> RtlResult:
        """Run images uint8 [N, H, W, C] through the netlist in Verilator, and return the result if it is golden.

        Raises:
            VerificationError: a stream or a logit differs; names the first.
        """
        from .simulation import compare, netlist_accelerator

        accelerator = netlist_accelerator(self.workspace.rtl, self.design, self.netlists)
        return compare(accelerator, self.workspace.load_graph("hardware"), images)

    def _areas_and_memories(self) -> tuple[dict[Part, Area], dict[Part, list[Memory]]]:
        areas, memories = {}, {}
        for part, folder in self.netlists.items():
            netlist = read_netlist(folder)
            areas[part] = count(flatten(netlist, part.top))
            memories[part] = memories_of(folder, netlist)
        return areas, memories

    def _totals(self, rows: list[dict]) -> dict:
        """Return the resources of accelerator and platform, by synthesis and by plan, and their share of the device."""
        platform, device = self.target.platform.model_dump(), self.target.resources.model_dump()
        counted = list(Area().as_dict())
        accelerator = {f: sum(row[f] for row in rows) for f in counted}
        planned = {f: round(sum(row["plan"][f] for row in rows), 1) for f in RESOURCES}
        whole = {**accelerator, **{f: accelerator[f] + platform[f] for f in RESOURCES}}
        whole["lut_packed"] += platform["lut"]
        share = {f: round(whole[f] / device[f], 3) for f in RESOURCES}
        return {
            "accelerator": accelerator,
            "accelerator_plan": planned,
            "platform": platform,
            "total": whole,
            "total_plan": {f: round(planned[f] + platform[f], 1) for f in RESOURCES},
            "device": device,
            "share": {**share, "lut_packed": round(whole["lut_packed"] / device["lut"], 3)},
        }


def _planned_target(workspace: Workspace, manifest: dict) -> Target:
    """Return the target that the RTL was planned for, at its clock; plan.yaml may have been edited since.

    Raises:
        FlowError: the step plan was done again, and the step rtl was not.
    """
    workspace.record.check(workspace.planned)
    planned = Plan.read(workspace.planned)
    if workspace.build_id(planned.target) != manifest["build_id"]:
        raise FlowError(
            f"{workspace.rtl} is not the RTL of the plan in {workspace.planned}, which was made later: finish that "
            "build, by flow build with the same options"
        )
    return load_target(planned.target).at(manifest["clock_mhz"])


def manifest_digest(workspace: Workspace) -> str:
    """Return the SHA-256 of the manifest of a build's RTL."""
    return sha256((workspace.rtl / MANIFEST).read_bytes())


def by_kind(nodes: dict[str, dict]) -> dict[str, dict]:
    """Return the rows of a synthesis report summed by kind of node, with ``count``, the largest first."""
    found: dict[str, dict] = {}
    counts = Counter(row["kind"] for row in nodes.values())
    for row in nodes.values():
        empty = {**Area().as_dict(), "plan": dict.fromkeys(RESOURCES, 0)}
        kind = found.setdefault(row["kind"], empty)
        for resource in Area().as_dict():
            kind[resource] += row[resource]
        for resource in RESOURCES:
            kind["plan"][resource] += row["plan"][resource]
    ordered = sorted(found, key=lambda name: found[name]["lut"], reverse=True)
    return {name: {"count": counts[name], **found[name]} for name in ordered}
