"""Estimates of a planned graph: resources, cycles, latency and DDR traffic. The cycles are exact when nothing
stalls."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from qonnx.core.modelwrapper import ModelWrapper

from flow.graph import Node, hardware_nodes
from flow.nodes import Cost

from .hls_cost import hls_estimate
from .plan import Plan
from .target import Target

CONTROL = Cost(lut=1000, ff=850)  # registers, counters and stream adapters of the top: Yosys estimate
CONTROL_NS = 8.6  # as path_ns of a node: of these and of the master that reads weights


@dataclass(frozen=True)
class Estimate:
    """Estimated figures of a planned graph.

    ``resources`` (by field of Cost) include the platform's share; ``path_ns`` is the longest path between registers,
    None where the delays of the part are not known. ``fits`` compares them with the usable part of the board, the DDR
    bandwidth in GB/s with what it gives, and the path with the clock.
    """

    fps: float
    cycles_per_frame: int
    latency_cycles: int
    resources: dict[str, float]
    ddr_bytes_per_frame: int
    ddr_gb_per_s: float
    path_ns: float | None
    slack_ns: float | None
    fits: bool

    def as_dict(self) -> dict:
        return asdict(self)


def node_costs(model: ModelWrapper) -> dict[str, Cost]:
    """Return the estimated resources of every node, by its name."""
    return {node.name: node.op.cost() for node in hardware_nodes(model)}


def estimate(model: ModelWrapper, plan: Plan, target: Target, route: str = "rtl") -> Estimate:
    """Return the estimate of the planned graph ``model`` at the plan's clock on ``target``.

    Of ``route`` "hls" the block RAM is that of the HLS project, and the rest that of the RTL: it is not known of HLS.
    """
    nodes = list(hardware_nodes(model))
    ddr = sum(node.op.ddr_words * 8 for node in nodes)
    readable = 1e9 * target.ddr_limit(plan.clock_mhz)  # bytes a second
    cycles = max(*(node.op.cycles() for node in nodes), math.ceil(ddr * plan.clock_mhz * 1e6 / readable))
    fps = plan.clock_mhz * 1e6 / cycles
    total = CONTROL + target.platform.cost()
    for cost in node_costs(model).values():
        total = total + cost
    if route == "hls":
        total = replace(total, bram36=hls_estimate(model, target).bram36)
    used = {k: round(v, 1) for k, v in asdict(total).items()}
    limits = {k: getattr(target.resources, k) * getattr(target.usable, k) for k in used}
    bandwidth = ddr * fps / 1e9
    path = longest_path(nodes) if target.delays_known else None
    slack = None if path is None else round(1000 / plan.clock_mhz - path, 2)
    fits = (
        all(used[k] <= limits[k] for k in used)
        and ddr * plan.requested_fps <= readable
        and (slack is None or slack >= 0)
    )
    return Estimate(round(fps, 2), cycles, latency(nodes), used, ddr, round(bandwidth, 4), path, slack, fits)


def longest_path(nodes: Iterable[Node]) -> float:
    """Return the longest path between registers in ns, by the bounds of the nodes' kinds."""
    return max(CONTROL_NS, *(node.op.path_ns() for node in nodes))


def latency(nodes: list[Node]) -> int:
    """Return the cycles from a frame's first pixel to its last logit, in an empty pipeline and without stalls.

    Every stream of a frame has a first and a last beat; a node's follow from those of its inputs (HardwareOp.timing).
    """
    ends: dict[str, tuple[float, float]] = {}
    for node in nodes:
        entering = [ends.get(name, (0.0, 0.0)) for name in node.inputs]
        leaving = node.op.timing(max(first for first, _ in entering), max(last for _, last in entering))
        ends |= dict.fromkeys(node.outputs, leaving)
    return round(max(last for _, last in ends.values()))
