"""Reading a hardware graph: its nodes as ops, their streams and their constants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from flow.ops import DOMAIN, NODES, HardwareOp, Stream

HARDWARE = {node.__name__ for node in NODES}


@dataclass(frozen=True)
class Node:
    """A hardware node of a graph.

    ``inputs``/``outputs`` are the names of its stream tensors in port order, ``constants`` its
    parameter arrays (int64) in the order of ``evaluate``'s remaining arguments.
    """

    op: HardwareOp
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: tuple[np.ndarray, ...]

    @property
    def name(self) -> str:
        return self.op.onnx_node.name

    @property
    def kind(self) -> str:
        return self.op.onnx_node.op_type

    def input_streams(self) -> dict[str, Stream]:
        return dict(zip(self.inputs, self.op.inputs(), strict=True))

    def output_streams(self) -> dict[str, Stream]:
        return dict(zip(self.outputs, self.op.outputs(), strict=True))


def is_hardware(node: NodeProto) -> bool:
    return node.domain == DOMAIN and node.op_type in HARDWARE


def hardware_nodes(model: ModelWrapper) -> Iterator[Node]:
    """The graph's hardware nodes in topological order."""
    for proto in model.graph.node:
        if is_hardware(proto):
            constants = {name: model.get_initializer(name) for name in proto.input}
            yield Node(
                op=getCustomOp(proto),
                inputs=tuple(name for name, value in constants.items() if value is None),
                outputs=tuple(proto.output),
                constants=tuple(v.astype(np.int64) for v in constants.values() if v is not None),
            )


def stream_of(model: ModelWrapper, tensor: str) -> Stream | None:
    """The stream that carries ``tensor``, from the node that produces it (or that takes the graph's input)."""
    for node in hardware_nodes(model):
        for streams in (node.output_streams(), node.input_streams()):
            if tensor in streams:
                return streams[tensor]
    return None


def consumers(model: ModelWrapper, tensor: str) -> list[NodeProto]:
    return [node for node in model.graph.node if tensor in node.input]
