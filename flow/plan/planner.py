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
from flow.ops import Cost
from flow.ops.base import memory_cost

from .apply import HLS_SIMD_LIMIT, stationary_node, variant
from .fifos import branch, fork_fifos
from .plan import FifoPlan, NodePlan, Plan, fingerprint
from .target import Target

RESOURCES = ("lut", "ff", "bram36", "dsp")
WEIGHTS = {"lut": 1.0, "ff": 0.2, "bram36": 1.0, "dsp": 0.5, "ddr": 0.3}  # of the used fraction, in the objective
SCALE = 1000  # CP-SAT counts in thousandths
STATIONARY_PIXELS = 16  # beyond this, accumulators and two frames of residuals cost more than the weights
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


def divisors(value: int, limit: int | None = None) -> list[int]:
    return [d for d in range(1, min(value, limit or value) + 1) if value % d == 0]


def plan_network(model: ModelWrapper, target: Target, fps: float, clock_mhz: float | None = None, label: str = "") -> Plan:
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
    nodes, fifos, fixed = {}, {}, Cost()
    engines: dict[str, list[Option]] = {}
    joins = {id_: node for node in model.graph.node if node.op_type == "AddStreams" for id_ in _engines_of(model, node)}
    parallel = {n.name: _parallel(n.op, cycles) for n in hardware_nodes(model) if "p" in _folding(n.kind)}
    for node in hardware_nodes(model):
        proto = node.op.onnx_node
        if node.kind in ("XnorPopcount", "IntConv"):
            engines[node.name] = _options(model, proto, cycles, joins.get(node.name), parallel)
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
    chosen, needed = _choose(engines, fixed, target, fps)
    if chosen is None:
        return None, {}
    for name, option in chosen.items():
        nodes[name] = NodePlan(pe=option.pe, simd=option.simd, memory=option.memory)
    for join in (n for n in model.graph.node if n.op_type == "AddStreams"):
        ddr = any(chosen[name].memory == "ddr" for name in _engines_of(model, join) if name in chosen)
        fifos.update(_fifo_plans(model, join, ddr, parallel))
    order = [n.name for n in hardware_nodes(model)]
    plan = Plan(
        network=fingerprint(model), target=target.name, clock_mhz=clock, requested_fps=fps,
        nodes={name: nodes[name] for name in order}, fifos=fifos,
    )  # fmt: skip
    return plan, needed


def _folding(kind: str) -> tuple[str, ...]:
    return ("pe", "simd") if kind in ("XnorPopcount", "IntConv") else () if kind == "SlidingWindow" else ("p",)


def _parallel(op, cycles: int) -> int | None:
    """The fewest elements a beat with which the node keeps up."""
    elements = max(s.beats * s.parallel for s in (*op.inputs(), *op.outputs()))
    return next((p for p in divisors(op.channels) if elements // p <= cycles), None)


def _engines_of(model: ModelWrapper, join: NodeProto) -> list[str]:
    return [n.name for name in join.input[:2] for n in branch(model, name) if n.op_type == "XnorPopcount"]


def _fifo_plans(model: ModelWrapper, join: NodeProto, ddr: bool, parallel: dict[str, int]) -> dict[str, FifoPlan]:
    plans = {}
    for tensor, elements in fork_fifos(model, join, ddr).items():
        (user,) = (n for n in model.graph.node if tensor in n.input)
        p = parallel.get(user.name) or 1
        bits = model.get_tensor_datatype(tensor).bitwidth()
        memory = "distributed" if elements * bits <= DISTRIBUTED_FIFO_BITS else "block"
        plans[tensor] = FifoPlan(depth=max(2, elements // p), memory=memory)
    return plans


def _fifo_cost(model, join, ddr, parallel) -> Cost:
    total = Cost()
    for tensor, fifo in _fifo_plans(model, join, ddr, parallel).items():
        bits = model.get_tensor_datatype(tensor).bitwidth()
        total = total + Cost(lut=24, ff=20 + bits) + memory_cost(fifo.depth, bits, fifo.memory)
    return total


def _options(model, engine: NodeProto, cycles: int, join: NodeProto | None, parallel) -> list[Option]:
    window_node = model.find_producer(engine.input[0])
    window, op = getCustomOp(window_node), getCustomOp(engine)
    pairs = [
        (pe, simd)
        for pe in divisors(op.features, 64)
        for simd in divisors(window.channels, HLS_SIMD_LIMIT)
        if op.pixels * (op.features // pe) * (op.channels // simd) <= cycles
    ]
    if not pairs:
        return []
    least = min(pe * simd for pe, simd in pairs)
    options = []
    for pe, simd in pairs:
        if pe * simd > 2 * least:
            continue
        window_cost = variant(window_node, p=simd).cost()
        onchip_fifo = _fifo_cost(model, join, False, parallel) if join is not None else Cost()
        for memory in ("distributed", "block"):
            cost = variant(engine, pe=pe, simd=simd, memory=memory).cost() + window_cost + onchip_fifo
            options.append(Option(pe, simd, memory, cost, 0))
        if _may_stream(op, pe * simd):
            stationary = getCustomOp(stationary_node(window_node, engine, pe, simd))
            if stationary.cycles() <= cycles:
                cost = stationary.cost() + (_fifo_cost(model, join, True, parallel) if join is not None else Cost())
                options.append(Option(pe, simd, "ddr", cost, stationary.ddr_words * 8))
    return options


def _may_stream(op, word: int) -> bool:
    return (
        op.onnx_node.op_type == "XnorPopcount"
        and op.activation == "majority_vote"
        and 4 <= op.pixels <= STATIONARY_PIXELS
        and max(word, 64) % min(word, 64) == 0
        and op.weight_bits % 64 == 0
    )


def _choose(engines: dict[str, list[Option]], fixed: Cost, target: Target, fps: float):
    budget = target.budget()
    problem = cp_model.CpModel()
    picks = {n: [problem.new_bool_var(f"{n}_{i}") for i in range(len(o))] for n, o in engines.items()}
    for name in engines:
        problem.add_exactly_one(picks[name])

    def total(measure, start=0.0):
        terms = [pick * round(measure(o) * SCALE) for n, os in engines.items() for pick, o in zip(picks[n], os)]
        return sum(terms) + round(start * SCALE)

    used = {r: total(lambda o, r=r: getattr(o.cost, r), getattr(fixed, r)) for r in RESOURCES}
    used["ddr_gb_per_s"] = total(lambda o: o.ddr_bytes * fps / 1e9)
    limits = {**budget, "ddr_gb_per_s": target.ddr_gb_per_s}
    objective = []
    for name, expression in used.items():
        over = problem.new_int_var(0, 1 << 40, f"over_{name}")
        problem.add(over >= expression - math.floor(limits[name] * SCALE))
        unit = max(limits[name], 1e-9)
        objective.append(expression * round(1e6 * WEIGHTS.get(name, WEIGHTS["ddr"]) / unit / SCALE * 1000))
        objective.append(over * round(1e6 * 1e4 / unit / SCALE * 1000))
    ports = sum(p for n, os in engines.items() for p, o in zip(picks[n], os) if o.memory == "ddr")
    problem.add(ports <= STATIONARY_PORTS)
    problem.minimize(sum(objective))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = 10
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    if solver.solve(problem) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None, {}
    chosen = {n: o[[solver.value(p) for p in picks[n]].index(1)] for n, o in engines.items()}
    needed = {}
    for name, expression in used.items():
        value = solver.value(expression) / SCALE
        if value > limits[name] + 1e-6:
            needed[name] = value
    return chosen, needed
