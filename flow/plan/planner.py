"""Chooses folding and memory of every engine for a frame rate within a board's resources.

A small integer program (OR-Tools CP-SAT): each engine takes one of its options (PE, SIMD,
memory), the sum of every resource stays inside the budget, and the weighted use is least.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from itertools import combinations

from ortools.sat.python import cp_model
from qonnx.core.modelwrapper import ModelWrapper

from flow.custom_op import op_of
from flow.errors import FlowError
from flow.graph import Node, hardware_nodes
from flow.nodes import Cost, HardwareOp, ram_cost

from .apply import apply_plan
from .estimate import CONTROL, CONTROL_NS, node_costs
from .fifos import DISTRIBUTED_FIFO_BITS, branch, join_fifos, joins_of
from .hls_cost import hls_estimate
from .plan import FifoPlan, NodePlan, Plan, fingerprint
from .target import Target

WEIGHTS = {"lut": 10, "ff": 2, "bram36": 10, "dsp": 5, "ddr_gb_per_s": 3}  # of the used fraction, in the objective
OVERDRAFT = 10_000  # the same for what is above the budget
PARTS = 100_000  # a budget counts as so many parts
LARGEST_OVERDRAFT = 1_000  # budgets, of one node
STATIONARY_PORTS = 8


class PlanError(FlowError):
    """The rate is out of reach; ``needed`` and ``available`` by resource."""

    def __init__(self, message: str, needed: dict[str, float] | None = None):
        super().__init__(message)
        self.needed = needed or {}


@dataclass(frozen=True)
class Option:
    """A folding and memory of an engine, and the memory of the window before it, with what both take: resources, and
    bytes read from DDR a frame. ``window`` is None where there is no buffer."""

    pe: int
    simd: int
    memory: str
    window: str | None
    cost: Cost
    ddr_bytes: int


def plan_network(
    model: ModelWrapper,
    target: Target,
    fps: float,
    clock_mhz: float | None = None,
    label: str = "",
    route: str = "rtl",
) -> Plan:
    """Return a plan that reaches ``fps`` on ``target``.

    Args:
        fps: frames a second, at ``clock_mhz`` (by default the target's clock).
        label: name of the network in messages.
        route: what is built of it: "rtl", or "hls", whose block RAM must fit, too.

    Raises:
        PlanError: it does not fit; the message has the numbers and the nearest rate that does.
    """
    clock = clock_mhz or target.clock_mhz
    path = max(CONTROL_NS, *(_least_path(node.op) for node in hardware_nodes(model)))
    if target.delays_known and path > 1000 / clock:
        slower = f"use --clock {target.clocks(path)[0]:.6g}" if target.clocks(path) else "choose a slower clock"
        raise PlanError(
            f"{label or 'this network'} at {clock:g} MHz: its longest path takes {path:g} ns, the clock "
            f"{1000 / clock:.3g}, on {target.name}: {slower}"
        )
    plan, needed = _solve(model, target, fps, clock, route)
    if plan is not None and not needed:
        return plan
    nearest = _nearest(model, target, fps, clock, route)
    faster = _faster(model, target, fps, clock, path, route)
    budget = {**target.budget(), "ddr_gb_per_s": target.ddr_limit(clock)}
    if plan is None:
        why = "needs more parallelism than its channels give"
    else:
        over = [f"{_figure(k, v)} {k} ({_figure(k, budget[k])} usable)" for k, v in needed.items()]
        why = "needs " + ", ".join(over)
    way = f"lower --fps to {nearest}" if nearest else "no rate fits: use a smaller --width or a larger board"
    way += f", or use --clock {faster:.6g}" if faster else ""
    how = " by the HLS route" * (route == "hls")
    raise PlanError(f"{label or 'this network'} at {fps:g} fps{how} {why} on {target.name}: {way}", needed)


def _figure(kind: str, value: float) -> str:
    return f"{value:.2f}" if kind == "ddr_gb_per_s" else f"{math.ceil(value * 2) / 2:g}"


def _nearest(model: ModelWrapper, target: Target, fps: float, clock: float, route: str) -> int:
    low, high = 0, math.ceil(fps)
    while high - low > 1:
        middle = (low + high) // 2
        plan, needed = _solve(model, target, middle, clock, route)
        if plan is not None and not needed:
            low = middle
        else:
            high = middle
    return low


def _faster(model: ModelWrapper, target: Target, fps: float, clock: float, path: float, route: str) -> float | None:
    """Return the slowest clock above ``clock`` at which ``fps`` fits, or None."""
    if not target.delays_known:
        return None
    for mhz in reversed([mhz for mhz in target.clocks(path) if mhz > clock]):
        plan, needed = _solve(model, target, fps, mhz, route)
        if plan is not None and not needed:
            return mhz
    return None


def _solve(
    model: ModelWrapper, target: Target, fps: float, clock: float, route: str
) -> tuple[Plan | None, dict[str, float]]:
    """Return the cheapest plan and, if even that is over budget, what it needs of the resources it overdraws.

    A plan takes another amount of block RAM in HLS than in RTL, which is known when the plan is there: where it does
    not fit, the next one is made with what HLS takes more set aside. That grows, so there is an end.
    """
    aside = 0.0
    while True:
        plan, needed = _cheapest(model, target, fps, clock, Cost(bram36=aside))
        if route != "hls" or plan is None or needed:
            return plan, needed
        planned = apply_plan(model, plan)
        hls = hls_estimate(planned, target)
        if hls.fits:
            return plan, needed
        aside = hls.bram36 - target.platform.bram36 - sum(cost.bram36 for cost in node_costs(planned).values())


def _cheapest(
    model: ModelWrapper, target: Target, fps: float, clock: float, aside: Cost
) -> tuple[Plan | None, dict[str, float]]:
    """Return the cheapest plan that leaves ``aside`` free and, if even that is over budget, what it needs."""
    cycles = int(clock * 1e6 / fps)
    nodes, fixed = {}, CONTROL + aside
    engines: dict[str, list[Option]] = {}
    windows: dict[str, str] = {}
    for node in hardware_nodes(model):
        if node.op.engine:
            engines[node.name] = _options(model, node, cycles, 1000 / clock if target.delays_known else math.inf)
            windows[node.name] = model.find_producer(node.inputs[0]).name
            if not engines[node.name]:
                return None, {}
        elif node.op.folding:
            p = _parallel(node.op, cycles)
            if p is None:
                return None, {}
            nodes[node.name] = NodePlan(p=p)
            fixed = fixed + node.op.variant(p=p).cost() + Cost(lut=6, ff=10 * p)  # its width converter
        else:
            nodes[node.name] = NodePlan()
    joins = [_join_costs(model, join, engines) for join in joins_of(model)]
    limits = {**target.budget(), "ddr_gb_per_s": target.ddr_limit(clock)}
    chosen, needed = _choose(engines, joins, fixed, limits, fps)
    for name, option in chosen.items():
        nodes[name] = NodePlan(pe=option.pe, simd=option.simd, memory=option.memory)
        nodes[windows[name]] = NodePlan(memory=option.window)
    fifos = _fifo_plans(model, {name for name, option in chosen.items() if option.memory == "ddr"})
    fifos |= {n.outputs[0]: fifo for n in hardware_nodes(model) if (fifo := _fifo_after(n.op))}
    plan = Plan(
        network=fingerprint(model),
        target=target.name,
        clock_mhz=clock,
        requested_fps=fps,
        nodes={node.name: nodes[node.name] for node in hardware_nodes(model)},
        fifos=fifos,
    )
    return plan, needed


def _parallel(op: HardwareOp, cycles: int) -> int | None:
    """Return the fewest elements a beat with which the node keeps up."""
    elements = max(stream.elements for stream in (*op.inputs(), *op.outputs()))
    return next((p for p in op.foldings() if elements // p <= cycles), None)


def _fifo_plans(model: ModelWrapper, ddr: Collection[str], joins: list[Node] | None = None) -> dict[str, FifoPlan]:
    plans = {}
    for tensor, elements in join_fifos(model, ddr, joins).items():
        bits = model.get_tensor_datatype(tensor).bitwidth()
        memory = "distributed" if elements * bits <= DISTRIBUTED_FIFO_BITS else "block"
        plans[tensor] = FifoPlan(elements=max(2, elements), memory=memory)
    return plans


def _fifo_after(op: HardwareOp) -> FifoPlan | None:
    """Return the FIFO that lets ``op`` work ahead of its reader."""
    elements = op.works_ahead()
    if not elements:
        return None
    return FifoPlan(elements=elements, memory="distributed" if elements <= DISTRIBUTED_FIFO_BITS else "block")


def _window_cost(window: HardwareOp) -> Cost:
    """Return the cost of a window and of the FIFO after it."""
    fifo = _fifo_after(window)
    if fifo is None:
        return window.cost()
    stream = window.outputs()[0]
    width = stream.parallel * stream.bits
    memory = ram_cost(fifo.elements // stream.parallel, width, fifo.memory)
    return window.cost() + Cost(lut=24, ff=26 + width) + memory


def _join_costs(model: ModelWrapper, join: Node, engines: dict[str, list[Option]]) -> dict[frozenset[str], Cost]:
    """Return the cost of the FIFOs at a join, by which engines of its branches have their weights in DDR."""
    branches = [node.name for tensor in join.inputs for node in branch(model, tensor)]
    streamed = [n for n in branches if any(option.memory == "ddr" for option in engines.get(n, ()))]
    sets = [frozenset(some) for count in range(len(streamed) + 1) for some in combinations(streamed, count)]
    return {ddr: _fifo_cost(model, join, ddr) for ddr in sets}


def _fifo_cost(model: ModelWrapper, join: Node, ddr: frozenset[str]) -> Cost:
    total = Cost()
    for tensor, fifo in _fifo_plans(model, ddr, [join]).items():
        bits = model.get_tensor_datatype(tensor).bitwidth()
        total = total + Cost(lut=24, ff=26 + bits) + ram_cost(fifo.elements, bits, fifo.memory)
    return total


def _options(model: ModelWrapper, node: Node, cycles: int, period_ns: float = math.inf) -> list[Option]:
    """Return the foldings and memories of an engine that keep up and whose paths fit the clock, but for those far wider
    than needed."""
    op, window = node.op, op_of(model.find_producer(node.inputs[0]))
    folded = [
        engine
        for pe in op.pes()
        for simd in op.simds(window)
        if (engine := op.variant(pe=pe, simd=simd)).misfit() is None
        and engine.cycles() <= cycles
        and window.variant(p=simd).cycles() <= cycles
        and _least_path(engine) <= period_ns
    ]
    if not folded:
        return []
    least = min(engine.pe * engine.simd for engine in folded)
    streamed = [op.worth_ddr() and not engine.why_not_ddr(window) for engine in folded]
    # words of whole triples divide into beats of 64 bits from 192 bits on: the narrowest of them may be wider than
    # twice the least
    widest = max(2 * least, min((e.pe * e.simd for e, ddr in zip(folded, streamed) if ddr), default=0))
    options = []
    for engine, ddr in zip(folded, streamed):
        size, stationary = engine.pe * engine.simd, None
        if ddr and size <= widest and (found := engine.from_ddr(window)).cycles() <= cycles:
            stationary = found
        if stationary and engine.absorbs(window):
            cost = stationary.cost() + _converters(engine)
            options.append(Option(engine.pe, engine.simd, "ddr", None, cost, stationary.ddr_words * 8))
            stationary = None
        converters = _converters(engine)
        for style, before in _windows(window.variant(p=engine.simd)):
            before = before + converters
            for memory in ("distributed", "block") if size <= 2 * least else ():
                kept = engine.variant(memory=memory)
                if kept.path_ns() <= period_ns:
                    options.append(Option(engine.pe, engine.simd, memory, style, kept.cost() + before, 0))
            if stationary:
                cost, read = stationary.cost() + before, stationary.ddr_words * 8
                options.append(Option(engine.pe, engine.simd, "ddr", style, cost, read))
    return options


def _least_path(op: HardwareOp) -> float:
    """Return a bound of the longest path of ``op``, of an engine in the memory with the shorter one: that is chosen."""
    return op.variant(memory="distributed").path_ns() if op.engine and "memory" in op.values() else op.path_ns()


def _converters(engine: HardwareOp) -> Cost:
    """Return the cost of the width converters around an engine, as if its neighbours had single elements a beat."""
    (made,) = engine.outputs()
    wide = made.parallel * made.bits
    return Cost(lut=6 + wide * (made.parallel > 1), ff=wide + engine.simd * engine.bits + 12)


def _windows(window: HardwareOp) -> list[tuple[str | None, Cost]]:
    """Return the memories that a window's rows may be in, each with the cost of the window and of the FIFO after it."""
    if window.is_wire:
        return [(None, _window_cost(window))]
    return [(style, _window_cost(window.variant(memory=style))) for style in ("distributed", "block")]


def _choose(
    engines: dict[str, list[Option]],
    joins: list[dict[frozenset[str], Cost]],
    fixed: Cost,
    limits: dict[str, float],
    fps: float,
):
    """Return an option for every engine, and the need of each resource that even the best choice overdraws."""
    problem = cp_model.CpModel()
    picks = {n: [problem.new_bool_var(f"{n}_{i}") for i in range(len(o))] for n, o in engines.items()}
    fifos = [[problem.new_bool_var(f"join{n}_{i}") for i in range(len(costs))] for n, costs in enumerate(joins)]
    for held, costs in zip(fifos, joins):
        problem.add_exactly_one(held)
        for name in frozenset().union(*costs):
            in_ddr = sum(p for p, o in zip(picks[name], engines[name]) if o.memory == "ddr")
            problem.add(in_ddr == sum(p for p, ddr in zip(held, costs) if name in ddr))
    objective = []
    for resource, limit in limits.items():
        used = _parts(_use(fixed, resource), limit)
        for name, options in engines.items():
            problem_terms = [p * _parts(_option_use(o, resource, fps), limit) for p, o in zip(picks[name], options)]
            used = used + sum(problem_terms)
        for held, costs in zip(fifos, joins):
            used = used + sum(p * _parts(_use(cost, resource), limit) for p, cost in zip(held, costs.values()))
        over = problem.new_int_var(0, LARGEST_OVERDRAFT**2 * PARTS, f"over_{resource}")
        problem.add(over >= used - PARTS)
        objective += [used * WEIGHTS[resource], over * OVERDRAFT]
    for name in engines:
        problem.add_exactly_one(picks[name])
    streamed = [p for n, options in engines.items() for p, o in zip(picks[n], options) if o.memory == "ddr"]
    problem.add(sum(streamed) <= STATIONARY_PORTS)
    problem.minimize(sum(objective))
    solver = cp_model.CpSolver()
    solver.parameters.max_deterministic_time = 5
    solver.parameters.num_workers = 1
    status = solver.solve(problem)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        raise PlanError(f"the planner's integer program ended as {solver.status_name(status)}")
    chosen = {n: o[[solver.value(p) for p in picks[n]].index(1)] for n, o in engines.items()}
    for held, costs in zip(fifos, joins):
        fixed = fixed + list(costs.values())[[solver.value(p) for p in held].index(1)]
    totals = {r: _use(fixed, r) + sum(_option_use(o, r, fps) for o in chosen.values()) for r in limits}
    return chosen, {r: value for r, value in totals.items() if value > limits[r]}


def _parts(use: float, limit: float) -> int:
    """Return ``use`` in parts of the budget; where the budget is 0, each unit counts as a whole budget too much."""
    if limit > 0:
        return round(use / limit * PARTS)
    return min(math.ceil(use) + 1, LARGEST_OVERDRAFT) * PARTS if use else 0


def _use(cost: Cost, resource: str) -> float:
    return getattr(cost, resource, 0.0)


def _option_use(option: Option, resource: str, fps: float) -> float:
    return option.ddr_bytes * fps / 1e9 if resource == "ddr_gb_per_s" else _use(option.cost, resource)
