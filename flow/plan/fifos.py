"""FIFO depths of residual joins: what the faster branch must hold while the slower one works."""

from __future__ import annotations

import math
from collections.abc import Collection

from qonnx.core.modelwrapper import ModelWrapper

from flow.graph import Node, hardware_node, hardware_nodes, stream_of

DISTRIBUTED_FIFO_BITS = 2048  # larger ones are in block RAM


def joins_of(model: ModelWrapper) -> list[Node]:
    """Return the nodes at which branches meet."""
    return [node for node in hardware_nodes(model) if node.op.joins]


def branch(model: ModelWrapper, tensor: str) -> list[Node]:
    """Return the nodes from ``tensor`` upstream to the fork (which is not in the list), nearest first."""
    nodes = []
    proto = model.find_producer(tensor)
    while proto is not None:
        node = hardware_node(model, proto)
        if node.op.forks:
            break
        nodes.append(node)
        proto = model.find_producer(node.inputs[0])
    return nodes


def lags(model: ModelWrapper, ddr: Collection[str]) -> dict[str, float]:
    """Return for every stream the frames of pixels that must have come in before its first beat.

    ``ddr`` names engines whose weights come from DDR: those work on one frame while they take the next.
    """
    found: dict[str, float] = {}
    for node in hardware_nodes(model):
        before = max((found.get(name, 0.0) for name in node.inputs), default=0.0)
        lag = node.op.ddr_lag if node.name in ddr else node.op.lag()
        found |= dict.fromkeys(node.outputs, before + lag)
    return found


def _work(model: ModelWrapper, tensor: str) -> int:
    """Return the operations of the engines between the fork and ``tensor``, in cycles without any folding."""
    return sum(node.op.variant(pe=1, simd=1).cycles() for node in branch(model, tensor) if node.op.engine)


def join_fifos(model: ModelWrapper, ddr: Collection[str], joins: list[Node] | None = None) -> dict[str, int]:
    """Return the elements to hold, by tensor, so that no join ever stalls the fork before it.

    The branch with the smaller lag holds the difference in whole rows, and one at least, as rows come in bursts. A pool
    in a branch gives a row at a time, which the FIFO after it holds.
    """
    lag, depths = lags(model, ddr), {}
    for join in joins_of(model) if joins is None else joins:
        first, second = join.inputs
        difference = lag.get(second, 0.0) - lag.get(first, 0.0)
        faster = first if difference > 0 else second
        if difference == 0 and _work(model, second) > _work(model, first):
            faster = first
        out = stream_of(model, faster)
        row = out.width * out.channels
        rows = math.ceil(round(abs(difference) * out.height, 6))  # lags are sums of fractions
        depths[faster] = max(1, rows) * row
        for node in (*branch(model, first), *branch(model, second)):
            if burst := node.op.burst():
                depths.setdefault(node.outputs[0], burst)
    return depths
