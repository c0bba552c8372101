"""Chooses folding and memory of every engine for a frame rate within a board's resources.

A small integer program (OR-Tools CP-SAT): each engine takes one of its options (PE, SIMD,
memory), the sum of every resource stays inside the budget, and the weighted use is least.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from onnx import NodeProto
from ortools.sat.python import cp_model
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from flow.errors import FlowError
from flow.graph import hardware_nodes
from flow.ops import Cost, HardwareOp
from flow.ops.base import divisors, memory_cost

from .apply import stationary_node, variant
from .estimate import CONTROL
from .fifos import branch, join_fifos
from .folding import ENGINES, STATIONARY_PIXELS, absorbs_window, simd_choices, why_not_ddr
from .plan import FifoPlan, NodePlan, Plan, fingerprint
from .target import Target

WEIGHTS = {"lut": 10, "ff": 2, "bram36": 10, "dsp": 5, "ddr_gb_per_s": 3}  # of the used fraction, in the objective
OVERDRAFT = 10_000  # the same for what is above the budget
PARTS = 100_000  # a budget counts as so many parts
STATIONARY_PORTS = 8
DISTRIBUTED_FIFO_BITS = 2048


class PlanError(FlowError):
    """The rate is out of reach; ``needed`` and ``available`` by resource."""

    def __init__(self, message: str, needed: dict[str, float] | None = None):
        super().__init__(message)
        self.needed = needed or {}


@dataclass(frozen=True)
class Option:
    pe: int
    simd: int
    memory: str
    cost: Cost
    ddr_bytes: int


def plan_network(
    model: ModelWrapper, target: Target, fps: float, clock_mhz: float | None = None, label: str = ""
) -> Plan:
    """A plan that reaches ``fps`` on ``target``.

    Raises:
        PlanError: it does not fit; the message has the numbers and the nearest rate that does.
    """
    clock = clock_mhz or target.clock_mhz
    plan, needed = _solve(model, target, fps, clock)
    if plan is not None and not needed:
        return plan
    nearest = _nearest(model, target, fps, clock)
    budget = {**target.budget(), "ddr_gb_per_s": target.ddr_gb_per_s}
    if plan is None:
        why = "needs more parallelism than its channels give"
    else:
        over = [f"{_figure(k, v)} {k} ({_figure(k, budget[k])} usable)" for k, v in needed.items()]
        why = "needs " + ", ".join(over)
    way = f"lower --fps to {nearest}" if nearest else "no rate fits: use a smaller --width or a larger board"
    raise PlanError(f"{label or 'this network'} at {fps:g} fps {why} on {target.name}: {way}", needed)


def _figure(kind: str, value: float) -> str:
    return f"{value:.2f}" if kind == "ddr_gb_per_s" else f"{math.ceil(value * 2) / 2:g}"


def _nearest(model: ModelWrapper, target: Target, fps: float, clock: float) -> int:
    low, high = 0, math.ceil(fps)
    while high - low > 1:
        middle = (low + high) // 2
        plan, needed = _solve(model, target, middle, clock)
        if plan is not None and not needed:
            low = middle
        else:
            high = middle
    return low


def _solve(model: ModelWrapper, target: Target, fps: float, clock: float) -> tuple[Plan | None, dict[str, float]]:
    """The cheapest plan and, if even that is over budget, what it needs of the resources it overdraws."""
    cycles = int(clock * 1e6 / fps)
    nodes, fixed = {}, Cost()
    engines: dict[str, list[Option]] = {}
    joins = {id_: node for node in model.graph.node if node.op_type == "AddStreams" for id_ in _engines_of(model, node)}
    parallel = {n.name: _parallel(n.op, cycles) for n in hardware_nodes(model) if "p" in _folding(n.kind)}
    for node in hardware_nodes(model):
        proto = node.op.onnx_node
        if node.kind in ENGINES:
            engines[node.name] = _options(model, proto, cycles, joins.get(node.name))
            if not engines[node.name]:
                return None, {}
        elif node.kind == "SlidingWindow":
            nodes[node.name] = NodePlan()
        else:
            p = parallel[node.name]
            if p is None:
                return None, {}
            nodes[node.name] = NodePlan(p=p)
            fixed = fixed + variant(proto, p=p).cost() + Cost(lut=12 * p, ff=16 * p)  # its width converter
    chosen, needed = _choose(engines, fixed + CONTROL, target, fps)
    for name, option in chosen.items():
        nodes[name] = NodePlan(pe=option.pe, simd=option.simd, memory=option.memory)
    fifos = _fifo_plans(model, {name for name, option in chosen.items() if option.memory == "ddr"})
    fifos |= _window_fifos(model)
    order = [n.name for n in hardware_nodes(model)]
    plan = Plan(
        network=fingerprint(model),
        target=target.name,
        clock_mhz=clock,
        requested_fps=fps,
        nodes={name: nodes[name] for name in order},
        fifos=fifos,
    )
    return plan, needed


def _folding(kind: str) -> tuple[str, ...]:
    return ("pe", "simd") if kind in ENGINES else () if kind == "SlidingWindow" else ("p",)


def _parallel(op, cycles: int) -> int | None:
    """The fewest elements a beat with which the node keeps up."""
    elements = max(s.beats * s.parallel for s in (*op.inputs(), *op.outputs()))
    return next((p for p in op.foldings() if elements // p <= cycles), None)


def _engines_of(model: ModelWrapper, join: NodeProto) -> list[str]:
    return [n.name for name in join.input[:2] for n in branch(model, name) if n.op_type == "XnorPopcount"]


def _fifo_plans(model: ModelWrapper, ddr: set[str], joins: list[NodeProto] | None = None) -> dict[str, FifoPlan]:
    plans = {}
    for tensor, elements in join_fifos(model, ddr, joins).items():
        bits = model.get_tensor_datatype(tensor).bitwidth()
        memory = "distributed" if elements * bits <= DISTRIBUTED_FIFO_BITS else "block"
        plans[tensor] = FifoPlan(elements=max(2, elements), memory=memory)
    return plans


def _window_fifos(model: ModelWrapper) -> dict[str, FifoPlan]:
    windows = [node for node in hardware_nodes(model) if node.kind == "SlidingWindow"]
    return {node.outputs[0]: fifo for node in windows if (fifo := _window_fifo(node.op))}


def _window_fifo(window: HardwareOp) -> FifoPlan | None:
    """Behind a window that gathers taps at a tap a cycle, so that one is gathered while the engine replays the one before."""
    if window.taps_together == 1:
        return None
    elements = window.outputs()[0].channels
    return FifoPlan(elements=elements, memory="distributed" if elements <= DISTRIBUTED_FIFO_BITS else "block")


def _window_cost(window_node: NodeProto, simd: int) -> Cost:
    """Of a window that gives ``simd`` bits a cycle, and of the FIFO behind it."""
    window = variant(window_node, p=simd)
    fifo = _window_fifo(window)
    if fifo is None:
        return window.cost()
    width = simd * window.outputs()[0].bits
    return window.cost() + Cost(lut=24, ff=20 + width) + memory_cost(fifo.elements // simd, width, fifo.memory)


def _fifo_cost(model: ModelWrapper, join: NodeProto | None, ddr: set[str]) -> Cost:
    """Of the FIFOs at one join, if the engines ``ddr`` have their weights in DDR and no other has."""
    total = Cost()
    if join is None:
        return total
    for tensor, fifo in _fifo_plans(model, ddr, [join]).items():
        bits = model.get_tensor_datatype(tensor).bitwidth()
        total = total + Cost(lut=24, ff=20 + bits) + memory_cost(fifo.elements, bits, fifo.memory)
    return total


def _options(model, engine: NodeProto, cycles: int, join: NodeProto | None) -> list[Option]:
    window_node = model.find_producer(engine.input[0])
    window, op = getCustomOp(window_node), getCustomOp(engine)
    pairs = [
        (pe, simd)
        for pe in divisors(op.features, 64)
        for simd in simd_choices(window, op)
        if op.pixels * (op.features // pe) * (op.channels // simd) <= cycles
        and op.pixels * (op.channels // simd) * window.taps_together <= cycles
    ]
    if not pairs:
        return []
    least = min(pe * simd for pe, simd in pairs)
    fifos = {
        memory: _fifo_cost(model, join, {engine.name} if memory == "ddr" else set()) for memory in ("block", "ddr")
    }
    options = []
    streamable = [pair for pair in pairs if op.pixels <= STATIONARY_PIXELS and not why_not_ddr(window, op, *pair)]
    # Words of whole triples divide into beats of 64 bits from 192 bits on: the narrowest of them may be wider than twice the least.
    widest = max(2 * least, min((pe * simd for pe, simd in streamable), default=0))
    for pe, simd in pairs:
        window_cost = _window_cost(window_node, simd)
        for memory in ("distributed", "block") if pe * simd <= 2 * least else ():
            cost = variant(engine, pe=pe, simd=simd, memory=memory).cost() + window_cost + fifos["block"]
            options.append(Option(pe, simd, memory, cost, 0))
        if (pe, simd) in streamable and pe * simd <= widest:
            stationary = getCustomOp(stationary_node(window_node, engine, pe, simd))
            if stationary.cycles() <= cycles:
                cost = stationary.cost() + fifos["ddr"] + (Cost() if absorbs_window(window) else window_cost)
                options.append(Option(pe, simd, "ddr", cost, stationary.ddr_words * 8))
    return options


def _choose(engines: dict[str, list[Option]], fixed: Cost, target: Target, fps: float):
    """An option for every engine, and what is needed of each resource that even the best choice overdraws."""
    limits = {**target.budget(), "ddr_gb_per_s": target.ddr_gb_per_s}
    problem = cp_model.CpModel()
    picks = {n: [problem.new_bool_var(f"{n}_{i}") for i in range(len(o))] for n, o in engines.items()}
    objective = []
    for resource, limit in limits.items():
        used = round(_use(fixed, resource) / limit * PARTS)
        for name, options in engines.items():
            problem_terms = [
                p * round(_option_use(o, resource, fps) / limit * PARTS) for p, o in zip(picks[name], options)
            ]
            used = used + sum(problem_terms)
        over = problem.new_int_var(0, 10_000 * PARTS, f"over_{resource}")
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
    totals = {r: _use(fixed, r) + sum(_option_use(o, r, fps) for o in chosen.values()) for r in limits}
    return chosen, {r: value for r, value in totals.items() if value > limits[r]}


def _use(cost: Cost, resource: str) -> float:
    return getattr(cost, resource, 0.0)


def _option_use(option: Option, resource: str, fps: float) -> float:
    return option.ddr_bytes * fps / 1e9 if resource == "ddr_gb_per_s" else _use(option.cost, resource)
