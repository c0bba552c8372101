"""Folding, memories and FIFOs for a board."""

from __future__ import annotations

from flow.errors import FlowError
from flow.state import Build


def plan(build: Build) -> None:
    """Choose folding, memories and FIFO depths; the estimate is frozen here, before any simulation."""
    from flow.golden import Golden
    from flow.graph import hardware_nodes
    from flow.plan.apply import apply_plan
    from flow.plan.estimate import estimate, node_costs
    from flow.plan.plan import Plan
    from flow.plan.planner import plan_network

    options, model = build.options, build.graph("integer")
    if options.plan:
        chosen = Plan.load(options.plan, model, build.target)
    else:
        label = f"{options.model} {options.strategy}"
        chosen = plan_network(model, build.target, options.fps, label=label)
    hardware = apply_plan(model, chosen)
    result = estimate(hardware, chosen, build.target)
    images = build.images(options.pass_images)
    if (build.golden_logits(len(images)) != Golden(hardware).execute(images)).any():
        raise FlowError("the planned graph differs from the integer graph: please report this plan")
    build.workspace.save_text(build.workspace.plan, chosen.text())
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
    if not result.fits:
        used = ", ".join(f"{value:g} {kind}" for kind, value in result.resources.items())
        slow = f"; its longest path takes {result.path_ns:g} ns" if result.path_ns else ""
        raise FlowError(f"the plan does not fit {options.target}: it needs {used}{slow}; edit it or lower --fps")
