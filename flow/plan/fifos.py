"""FIFO depths of residual forks: what the shortcut must hold while the binary branch works."""

from __future__ import annotations

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from flow.graph import stream_of


def branch(model: ModelWrapper, tensor: str) -> list[NodeProto]:
    """Nodes from ``tensor`` upstream to the fork (which is not in the list), nearest first."""
    nodes = []
    node = model.find_producer(tensor)
    while node is not None and node.op_type != "Duplicate":
        nodes.append(node)
        node = model.find_producer(node.input[0])
    return nodes


def fork_fifos(model: ModelWrapper, join: NodeProto, ddr: bool) -> dict[str, int]:
    """Elements to hold, by tensor, so that the fork in front of ``join`` never stalls the other branch.

    - A sliding window gives its first output after (kernel - padding) rows less some pixels, so a
      shortcut without nodes holds that many rows.
    - A strided shortcut works at the pace of the branch: one row of slack at its end, and one
      behind its pool, which gives a row at a time.
    - A weight-stationary engine works on one frame while it takes the next: two frames.
    """
    left, right = (branch(model, name) for name in join.input[:2])
    engine_is_left = any(node.op_type == "XnorPopcount" for node in left)
    engine, shortcut = (left, right) if engine_is_left else (right, left)
    entry = join.input[1] if engine_is_left else join.input[0]
    windows = [getCustomOp(node) for node in engine if node.op_type == "SlidingWindow"]
    if not windows:
        return {}
    window, out = windows[-1], stream_of(model, entry)
    row, frame = out.width * out.channels, out.height * out.width * out.channels
    depths = {entry: 2 * frame if ddr else (row if shortcut else (window.kernel - window.padding) * row)}
    for node in shortcut:
        if node.op_type == "AvgPool":
            pooled = getCustomOp(node).outputs()[0]
            depths[node.output[0]] = pooled.width * pooled.channels
    return depths
