"""Folding, memories and FIFOs for a board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flow.errors import FlowError
from flow.state import Build

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


def plan(build: Build) -> None:
    """Choose folding, memories and FIFO depths; the estimate is frozen here, before any simulation."""
    from flow.golden import Golden
    from flow.graph import hardware_nodes
    from flow.plan.apply import apply_plan
    from flow.plan.estimate import estimate, node_costs
    from flow.plan.hls_cost import hls_estimate, why_not
    from flow.plan.plan import Plan
    from flow.plan.planner import plan_network
    from flow.report.console import amounts

    options, model = build.options, build.graph("integer")
    given = options.plan or _edited(build, model)
    if given:
        chosen = Plan.load(given, model, build.target)
        text = given.read_text(encoding="utf-8")
    else:
        label = f"{options.model} {options.strategy}"
        chosen = plan_network(model, build.target, options.fps, label=label, route=options.route)
        text = chosen.text()
    hardware = apply_plan(model, chosen)
    result = estimate(hardware, chosen, build.target, options.route)
    images = build.images(options.pass_images)
    if (build.golden_logits(len(images)) != Golden(hardware).execute(images)).any():
        raise FlowError("the planned graph differs from the integer graph: please report this plan")
    if given != build.workspace.plan:
        _keep_edited(build)
        build.workspace.save_text(build.workspace.plan, text)
        build.workspace.save_text(build.workspace.planned, text)
    build.workspace.save_graph(hardware, "hardware")
    nodes = {
        node.name: {
            "kind": node.kind,
            "cycles": node.op.cycles(),
            **{k: round(v, 1) for k, v in cost.as_dict().items()},
        }
        for node, cost in zip(hardware_nodes(hardware), node_costs(hardware).values(), strict=True)
    }
    build.report("plan", {"requested_fps": chosen.requested_fps, "plan": result.as_dict(), "nodes": nodes})
    if options.route == "hls" and (reason := why_not(hls_estimate(hardware, build.target), build.target)):
        raise FlowError(reason)
    if not result.fits:
        used = amounts(result.resources)
        slow = f"; its longest path takes {result.path_ns:g} ns" if result.path_ns else ""
        raise FlowError(f"the plan does not fit {options.target}: it needs {used}{slow}; edit it or lower --fps")


def _edited(build: Build, model: ModelWrapper) -> Path | None:
    """Return the build's own plan.yaml, if a person edited it and what was planned is what is built now; else None."""
    from flow.plan.plan import Plan, fingerprint

    workspace, options = build.workspace, build.options
    if workspace.edited_plan() is None:
        return None
    found = Plan.read(workspace.planned)
    planned = found.network, found.target, found.clock_mhz, found.requested_fps
    if planned != (fingerprint(model), options.target, build.target.clock_mhz, options.fps):
        return None
    build.log(f"{workspace.plan} was edited: it is taken; the planner's own is {workspace.planned}")
    return workspace.plan


def _keep_edited(build: Build) -> None:
    """Keep an edited plan.yaml under another name before another plan takes its place."""
    workspace = build.workspace
    edited = workspace.edited_plan()
    if edited is None:
        return
    names = (workspace.plan.with_name(f"plan-{number}.yaml") for number in range(1, 1_000_000))
    kept = next(path for path in names if not path.exists())
    kept.write_bytes(edited)
    build.log(
        f"{workspace.plan} was edited, for another network, target, clock or rate: it is kept as {kept}, to be edited "
        "for this one and given with --plan"
    )
