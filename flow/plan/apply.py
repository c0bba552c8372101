"""Turns an unfolded hardware graph and a plan into the graph that is emitted."""

from __future__ import annotations

import copy
import math

from onnx import NodeProto, TensorProto
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import SortGraph

from flow.custom_op import node_of, op_of, set_attributes
from flow.errors import FlowError
from flow.graph import Node, consumers, hardware_nodes, stream_of
from flow.nodes import NodeError
from flow.nodes.fifo import Fifo
from flow.nodes.width_converter import WidthConverter

from .plan import NodePlan, Plan


def apply_plan(model: ModelWrapper, plan: Plan) -> ModelWrapper:
    """Return a copy of ``model`` with the plan's folding, DDR engines, width converters and FIFOs.

    Raises:
        FlowError: a node is missing in the plan, or a folding does not divide its channels.
    """
    model = copy.deepcopy(model)
    names = {node.name for node in hardware_nodes(model)}
    for missing in names - plan.nodes.keys():
        raise FlowError(f"the plan has no entry for node {missing}")
    for surplus in plan.nodes.keys() - names:
        raise FlowError(f"the plan has a node {surplus} that the network has not")
    streams = {name for node in hardware_nodes(model) for name in node.outputs if consumers(model, name)}
    for surplus in plan.fifos.keys() - streams:
        raise FlowError(
            f"the plan has a FIFO {surplus}, and there is no stream of that name between two nodes: remove it"
        )
    for node in list(hardware_nodes(model)):
        chosen = plan.nodes[node.name]
        try:
            _refuse_surplus(node, chosen)
            if node.op.engine:
                _fold_engine(model, node.proto, plan)
            elif node.op.folding:
                _fold(node.proto, chosen)
        except NodeError as error:
            raise FlowError(f"{node.name}: {error}") from error
    for tensor in [name for node in hardware_nodes(model) for name in node.outputs]:
        _connect(model, tensor, plan)
    model = model.transform(SortGraph())
    for node in hardware_nodes(model):
        for tensor, stream in node.output_streams().items():
            model.set_tensor_datatype(tensor, DataType[stream.datatype])
    return model


def _refuse_surplus(node: Node, chosen: NodePlan) -> None:
    """Raise NodeError if the plan gives ``node`` what it has no choice of."""
    choices = node.op.folding or (("memory",) if hasattr(node.op, "memory") else ())
    for name, value in chosen.model_dump(exclude_none=True).items():
        if name not in choices:
            has = f"it has {' and '.join(choices)}" if choices else "it has nothing to choose"
            raise NodeError(f"{name} is {value}, and {node.kind} has no {name} to choose: {has}")


def _fold(node: NodeProto, chosen: NodePlan) -> None:
    op = op_of(node)
    options = op.foldings()
    p = chosen.p or options[0]
    if p not in options:
        raise NodeError(f"p {p} is none of {', '.join(map(str, options))}, which fit its {op.channels} channels")
    set_attributes(node, p=p)


def _fold_engine(model: ModelWrapper, node: NodeProto, plan: Plan) -> None:
    """Give an engine and the window in front of it their folding, or replace both by the node with weights from DDR."""
    window_node = model.find_producer(node.input[0])
    op, window, chosen = op_of(node), op_of(window_node), plan.nodes[node.name]
    simds = op.simds(window)
    simd = chosen.simd or simds[0]
    if simd not in simds:
        raise NodeError(f"simd {simd} is none of {', '.join(map(str, simds))}, which fit its windows")
    pe = chosen.pe or next(pe for pe in op.pes() if op.variant(pe=pe, simd=simd).misfit() is None)
    if reason := op.variant(pe=pe, simd=simd).misfit():
        raise NodeError(reason)
    set_attributes(window_node, p=simd)
    if style := plan.nodes[window_node.name].memory:
        if style == "ddr":
            raise NodeError(f"the rows of {window_node.name} cannot be in ddr: use block or distributed")
        set_attributes(window_node, memory=style)
    if chosen.memory != "ddr":
        set_attributes(node, pe=pe, simd=simd, memory=chosen.memory or "block")
        return
    op, window = op.variant(pe=pe, simd=simd), op_of(window_node)
    if reason := op.why_not_ddr(window):
        raise NodeError(f"memory ddr: {reason}: use block or distributed")
    streamed = op.from_ddr(window)
    absorbed = op.absorbs(window)
    source = window_node.input[0] if absorbed else node.input[0]
    index = list(model.graph.node).index(node)
    model.graph.node.remove(node)
    model.graph.node.insert(index, node_of(streamed, [source, *node.input[1:]], list(node.output)))
    if absorbed:
        model.graph.node.remove(window_node)


def _connect(model: ModelWrapper, tensor: str, plan: Plan) -> None:
    """Put the FIFO of the plan and width converters between the writer of ``tensor`` and its reader."""
    users = consumers(model, tensor)
    if not users:
        return  # the logits
    (user,) = users
    position = list(user.input).index(tensor)
    produced, consumed = stream_of(model, tensor), op_of(user).inputs()[position]
    p, q = produced.parallel, consumed.parallel
    steps = []
    if p != q:
        middle = math.gcd(p, q)
        steps = [(p, q)] if middle in (p, q) else [(p, middle), (middle, q)]
    common = {"height": produced.height, "width": produced.width, "channels": produced.channels, "bits": produced.bits}
    new = []
    for index, (a, b) in enumerate(steps):
        name = f"WidthConverter_{tensor}" + (f"_{index}" if len(steps) == 2 else "")
        new.append(WidthConverter(name=name, p=a, out_p=b, **common))
    if tensor in plan.fifos:
        fifo, narrow = plan.fifos[tensor], min(p, q)
        depth = max(2, math.ceil(fifo.elements / narrow))
        stage = Fifo(name=f"Fifo_{tensor}", p=narrow, depth=depth, memory=fifo.memory, **common)
        new.insert(0 if p == narrow else len(new), stage)
    source, shape = tensor, model.get_tensor_shape(tensor)
    for op in new:
        output = f"{op.name}_out"
        model.set_tensor_shape(output, shape, dtype=TensorProto.FLOAT)
        model.graph.node.append(node_of(op, [source], [output]))
        source = output
    user.input[position] = source
