"""Turns an unfolded hardware graph and a plan into the graph that is emitted."""

from __future__ import annotations

import copy
import math

from onnx import NodeProto, TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.general import SortGraph

from flow.errors import FlowError
from flow.graph import consumers, hardware_nodes, stream_of
from flow.ops import DOMAIN, HardwareOp, custom_op
from flow.ops.base import stream_datatype
from flow.ops.votes import ATTRIBUTES

from .folding import ENGINES, absorbs_window, simd_choices, why_not_ddr
from .plan import Plan


def variant(node: NodeProto, **attributes) -> HardwareOp:
    """The op of a copy of ``node`` with other attributes."""
    op = custom_op[node.op_type](copy.deepcopy(node))
    for name, value in attributes.items():
        op.set_nodeattr(name, value)
    return op


def stationary_node(window: NodeProto, engine: NodeProto, pe: int, simd: int) -> NodeProto:
    """The WeightStationary node that does the work of a SlidingWindow and its XnorPopcount.

    Windows in another order than "tap" stay, and their elements are the channels of the map it keeps.
    """
    w, e = getCustomOp(window), getCustomOp(engine)
    if absorbs_window(w):
        source, names = window.input[0], ("height", "width", "channels", "kernel", "stride", "padding", "pad_value")
        geometry = {name: getattr(w, name) for name in names}
    else:
        source = engine.input[0]
        geometry = {
            "height": e.height,
            "width": e.width,
            "channels": e.channels,
            "kernel": 1,
            "stride": 1,
            "padding": 0,
        }
    return helper.make_node(
        "WeightStationary",
        [source, *engine.input[1:]],
        [engine.output[0]],
        name=engine.name.replace("XnorPopcount", "WeightStationary"),
        domain=DOMAIN,
        **geometry,
        features=e.features,
        bits=1,
        pe=pe,
        simd=simd,
        **{name: getattr(e, name) for name in ATTRIBUTES},
    )


def apply_plan(model: ModelWrapper, plan: Plan) -> ModelWrapper:
    """A copy of ``model`` with the plan's folding, DDR engines, width converters and FIFOs.

    Raises:
        FlowError: a node is missing in the plan, or a folding does not divide its channels.
    """
    model = copy.deepcopy(model)
    names = {node.name for node in hardware_nodes(model)}
    for missing in names - plan.nodes.keys():
        raise FlowError(f"the plan has no entry for node {missing}")
    for surplus in plan.nodes.keys() - names:
        raise FlowError(f"the plan has a node {surplus} that the network has not")
    for node in list(model.graph.node):
        _fold(model, node, plan)
    for node in list(model.graph.node):
        if node.op_type == "XnorPopcount" and plan.nodes[node.name].memory == "ddr":
            _stream_weights(model, node, plan)
    for tensor in [name for node in hardware_nodes(model) for name in node.outputs]:
        _connect(model, tensor, plan)
    model = model.transform(SortGraph())
    for node in hardware_nodes(model):
        for tensor, stream in node.output_streams().items():
            model.set_tensor_datatype(tensor, stream_datatype(stream))
    return model


def _fold(model: ModelWrapper, node: NodeProto, plan: Plan) -> None:
    op, chosen = getCustomOp(node), plan.nodes[node.name]
    if node.op_type in ENGINES:
        window = getCustomOp(model.find_producer(node.input[0]))
        simds = simd_choices(window, op)
        pe, simd = chosen.pe or 1, chosen.simd or simds[0]
        if op.features % pe:
            raise FlowError(f"{node.name}: pe {pe} must divide its {op.features} outputs")
        if simd not in simds:
            raise FlowError(f"{node.name}: simd {simd} is none of {', '.join(map(str, simds))}, which fit its windows")
        op.set_nodeattr("pe", pe)
        op.set_nodeattr("simd", simd)
        window.set_nodeattr("p", simd)
        if chosen.memory != "ddr":
            op.set_nodeattr("memory", chosen.memory or "block")
        elif node.op_type == "IntConv":
            raise FlowError(f"{node.name}: memory ddr is for binary convolutions: use block or distributed")
    elif node.op_type != "SlidingWindow":
        p = chosen.p or op.foldings()[0]
        if p not in op.foldings():
            raise FlowError(
                f"{node.name}: p {p} is none of {', '.join(map(str, op.foldings()))}, which fit its {op.channels} channels"
            )
        op.set_nodeattr("p", p)


def _stream_weights(model: ModelWrapper, engine: NodeProto, plan: Plan) -> None:
    window = model.find_producer(engine.input[0])
    op = getCustomOp(engine)
    if reason := why_not_ddr(getCustomOp(window), op, op.pe, op.simd):
        raise FlowError(f"{engine.name}: memory ddr: {reason}")
    node = stationary_node(window, engine, op.pe, op.simd)
    index = list(model.graph.node).index(engine)
    model.graph.node.remove(engine)
    model.graph.node.insert(index, node)
    if absorbs_window(getCustomOp(window)):
        model.graph.node.remove(window)


def _connect(model: ModelWrapper, tensor: str, plan: Plan) -> None:
    users = consumers(model, tensor)
    if not users:
        return  # the logits
    (user,) = users
    produced, consumed = stream_of(model, tensor), None
    position = list(user.input).index(tensor)
    consumed = getCustomOp(user).inputs()[position]
    steps = []
    p, q = produced.parallel, consumed.parallel
    if p != q:
        middle = math.gcd(p, q)
        steps = [(p, q)] if middle in (p, q) else [(p, middle), (middle, q)]
    common = {"height": produced.height, "width": produced.width, "channels": produced.channels, "bits": produced.bits}
    new = [("WidthConverter", {"p": a, "out_p": b}) for a, b in steps]
    if tensor in plan.fifos:
        fifo = plan.fifos[tensor]
        narrow = min(p, q)
        stage = ("Fifo", {"p": narrow, "depth": max(2, math.ceil(fifo.elements / narrow)), "memory": fifo.memory})
        new.insert(0 if p == narrow else len(new), stage)
    source, shape = tensor, model.get_tensor_shape(tensor)
    for index, (kind, attributes) in enumerate(new):
        name = f"{kind}_{tensor}" + (f"_{index}" if len(steps) == 2 and kind == "WidthConverter" else "")
        output = f"{name}_out"
        model.set_tensor_shape(output, shape, dtype=TensorProto.FLOAT)
        model.graph.node.append(
            helper.make_node(kind, [source], [output], name=name, domain=DOMAIN, **common, **attributes)
        )
        source = output
    user.input[position] = source
