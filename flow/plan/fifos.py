"""FIFO depths of residual joins: what the faster branch must hold while the slower one works."""

from __future__ import annotations

import math

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from flow.graph import Node, hardware_nodes, stream_of

STATIONARY_LAG = 2.0  # frames: one is collected, one is computed


def branch(model: ModelWrapper, tensor: str) -> list[NodeProto]:
    """Nodes from ``tensor`` upstream to the fork (which is not in the list), nearest first."""
    nodes = []
    node = model.find_producer(tensor)
    while node is not None and node.op_type != "Duplicate":
        nodes.append(node)
        node = model.find_producer(node.input[0])
    return nodes


def lag_of(node: Node, ddr: bool) -> float:
    """How much of a frame a node takes in before it gives its first beat, in frames.

    - A sliding window waits for (kernel - padding) rows less some pixels, a pool for the rows it pools.
    - An engine whose weights come from DDR works on one frame while it takes the next.
    """
    op = node.op
    if ddr or node.kind == "WeightStationary":
        return STATIONARY_LAG
    if node.kind == "SlidingWindow" and not op.passes_through:
        needed = op.kernel - op.padding
        return min(1.0, ((needed - 1) * op.width + needed) / op.pixels)
    if node.kind in ("AvgPool", "MaxPool"):
        return (op.width + 2) / op.pixels
    return float(node.kind == "GlobalPool")


def lags(model: ModelWrapper, ddr: set[str]) -> dict[str, float]:
    """For every stream, the frames that must have come in at the image before its first beat; ``ddr`` names engines."""
    found: dict[str, float] = {}
    for node in hardware_nodes(model):
        before = max((found.get(name, 0.0) for name in node.inputs), default=0.0)
        for name in node.outputs:
            found[name] = before + lag_of(node, node.name in ddr)
    return found


def join_fifos(model: ModelWrapper, ddr: set[str], joins: list[NodeProto] | None = None) -> dict[str, int]:
    """Elements to hold, by tensor, so that no join (AddStreams) ever stalls the fork in front of it.

    The branch with the smaller lag holds the difference in whole rows, and one at least, as rows come in bursts. A pool in
    a branch gives a row at a time, which is held behind it.
    """
    lag, depths = lags(model, ddr), {}
    for join in joins if joins is not None else [n for n in model.graph.node if n.op_type == "AddStreams"]:
        first, second = join.input[:2]
        difference = lag.get(second, 0.0) - lag.get(first, 0.0)
        faster = first if difference > 0 else second
        if difference == 0 and any(node.op_type == "XnorPopcount" for node in branch(model, second)):
            faster = first
        out = stream_of(model, faster)
        row = out.width * out.channels
        rows = math.ceil(round(abs(difference) * out.height, 6))  # lags are sums of fractions
        depths[faster] = max(1, rows) * row
        for tensor in (first, second):
            for node in branch(model, tensor):
                if node.op_type in ("AvgPool", "MaxPool"):
                    pooled = stream_of(model, node.output[0])
                    depths.setdefault(node.output[0], pooled.width * pooled.channels)
    return depths
