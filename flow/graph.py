"""Reading a hardware graph: its nodes as ops, their streams and their constants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from flow import nodes
from flow.custom_op import DOMAIN, op_of
from flow.nodes import HardwareOp, Stream


@dataclass(frozen=True)
class Node:
    """A hardware node of a graph.

    ``inputs``/``outputs`` are the names of its stream tensors in port order, ``constants`` its
    parameter arrays (int64) in the order of ``evaluate``'s remaining arguments.
    """

    proto: NodeProto
    op: HardwareOp
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: tuple[np.ndarray, ...]

    @property
    def name(self) -> str:
        """Its name in the graph."""
        return self.op.name

    @property
    def kind(self) -> str:
        """Its kind, such as XnorPopcount."""
        return self.op.kind

    def input_streams(self) -> dict[str, Stream]:
        """Return the streams of its inputs by name."""
        return dict(zip(self.inputs, self.op.inputs(), strict=True))

    def output_streams(self) -> dict[str, Stream]:
        """Return the streams of its outputs by name."""
        return dict(zip(self.outputs, self.op.outputs(), strict=True))


def is_hardware(node: NodeProto) -> bool:
    """Return whether ``node`` is one of flow.nodes."""
    return node.domain == DOMAIN and node.op_type in nodes.kinds()


def hardware_node(model: ModelWrapper, proto: NodeProto) -> Node:
    """Return ``proto``, a hardware node of ``model``, with its streams and constants."""
    constants = {name: model.get_initializer(name) for name in proto.input}
    return Node(
        proto=proto,
        op=op_of(proto),
        inputs=tuple(name for name, value in constants.items() if value is None),
        outputs=tuple(proto.output),
        constants=tuple(v.astype(np.int64) for v in constants.values() if v is not None),
    )


def hardware_nodes(model: ModelWrapper) -> Iterator[Node]:
    """Yield the graph's hardware nodes in topological order."""
    for proto in model.graph.node:
        if is_hardware(proto):
            yield hardware_node(model, proto)


def stream_of(model: ModelWrapper, tensor: str) -> Stream | None:
    """Return the stream that carries ``tensor``, from the node that produces it (or that takes the graph's input)."""
    for proto in model.graph.node:
        if not is_hardware(proto):
            continue
        op = op_of(proto)
        streams = dict(zip(proto.output, op.outputs()))
        streams |= dict(zip((name for name in proto.input if model.get_initializer(name) is None), op.inputs()))
        if tensor in streams:
            return streams[tensor]
    return None


def consumers(model: ModelWrapper, tensor: str) -> list[NodeProto]:
    """Return the nodes that read ``tensor``."""
    return [node for node in model.graph.node if tensor in node.input]
