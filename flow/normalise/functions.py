"""Functions of one value that exporters write as several nodes: x * sigmoid(x), max(x, 0.1 x), where(x > 0, x, a)."""

from __future__ import annotations

import math

from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from flow.custom_op import DOMAIN
from flow.graph import consumers
from flow.passes.chain import ELEMENTWISE

from .edit import Normalisation

JOINS = ("Mul", "Add", "Sub", "Div", "Max", "Min", "Pow", "Where")
COMPARISONS = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual")
INSIDE = (
    *COMPARISONS,
    *("Equal", "Not", "And", "Or", "Cast", "Sign", "Clip"),
    *("Exp", "Log", "Sqrt", "Reciprocal", "Where"),
    *(kind for kind in ELEMENTWISE if kind not in ("MultiThreshold", "Function")),
)


class OneFunction(Normalisation):
    """Nodes whose paths leave one tensor and meet again, all of them elementwise, become one node, a Function: what
    follows then is a chain."""

    kinds = JOINS

    def rewrite(self, graph, node):
        found = _region(graph.model, node)
        if found is None or graph.shape(found[0]) != graph.shape(node.output[0]):
            return False
        source, region = found
        body = _body(graph.model, source, region, node.output[0])
        if body is None:
            return False
        (opset,) = (entry.version for entry in graph.model.model.opset_import if entry.domain in ("", "ai.onnx"))
        function = helper.make_node(
            "Function", [source], [node.output[0]], name=node.name, domain=DOMAIN, body=body, opset=opset
        )
        nodes = graph.model.graph.node
        nodes.insert(list(nodes).index(node), function)
        for inner in region:
            nodes.remove(inner)
        return True


def _region(model, join: NodeProto) -> tuple[str, list[NodeProto]] | None:
    """Return the tensor that all paths to ``join`` leave, and the elementwise nodes on them; None if there is none."""
    order = {name: index for index, node in enumerate(model.graph.node) for name in node.output}
    region, open_tensors = [join], _variables(model, join)
    if sum(name in open_tensors for name in join.input) < 2 and not _chooses(model, join):
        return None
    while len(open_tensors) > 1 or _chooses(model, region[-1]):
        inside = [tensor for tensor in open_tensors if _is_inside(model, tensor, region)]
        if not inside:
            return None
        latest = max(inside, key=order.__getitem__)
        producer = model.find_producer(latest)
        region.append(producer)
        open_tensors = (open_tensors - {latest}) | _variables(model, producer)
    source = next(iter(open_tensors), None)
    return None if source is None else (source, region)


def _variables(model, node: NodeProto) -> set[str]:
    return {name for name in node.input if name and model.get_initializer(name) is None}


def _chooses(model, node: NodeProto) -> bool:
    """Return whether ``node`` takes one of two values by more than one comparison, which Choices makes a sign."""
    condition = model.find_producer(node.input[0])
    return node.op_type == "Where" and condition is not None and condition.op_type not in COMPARISONS


def _is_inside(model, tensor: str, region: list[NodeProto]) -> bool:
    """Return whether an elementwise node gives ``tensor``, for the region alone."""
    producer = model.find_producer(tensor)
    if producer is None or producer.op_type not in INSIDE or producer.domain not in ("", "ai.onnx"):
        return False
    return tensor != model.graph.output[0].name and all(reader in region for reader in consumers(model, tensor))


def _body(model, source: str, region: list[NodeProto], output: str) -> GraphProto | None:
    """Return the nodes of a region as a graph from x to y; None if a constant of it varies by position."""
    names = {source: "x", output: "y"}
    constants = {}
    for node in region:
        for name in node.input:
            value = model.get_initializer(name) if name else None
            if value is not None and value.ndim > 2 and math.prod(value.shape[-2:]) > 1:
                return None
            if value is not None:
                constants[name] = numpy_helper.from_array(value, name)
    copies = []
    for node in reversed(region):
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [names.get(name, name) for name in node.input]
        copy.output[:] = [names.get(name, name) for name in node.output]
        copies.append(copy)
    return helper.make_graph(
        copies,
        "function",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        list(constants.values()),
    )
