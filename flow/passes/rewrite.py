"""Replacing a part of a QONNX graph by hardware nodes between ToStream and FromStream."""

from __future__ import annotations

import json

import numpy as np
from onnx import NodeProto, TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

from flow import nodes
from flow.custom_op import BOUNDARIES, DOMAIN, node_of
from flow.errors import FlowError
from flow.pointwise import written_kind


class PassError(FlowError):
    """A part of the graph has no integer form; the message names node, type and reason.

    ``reason`` and ``way`` out of the node ``name`` of type ``kind``, if it is about one.
    """

    def __init__(self, message: str, name: str = "", kind: str = "", reason: str = "", way: str = ""):
        super().__init__(message)
        self.name, self.kind, self.reason, self.way = name, kind, reason, way


def refuse(node: NodeProto, reason: str, way: str = "") -> PassError:
    """Return the error for ``node``: why it has no integer form, and what would give it one."""
    name, kind = node.name or node.output[0], written_kind(node)
    message = f"{name} ({kind}): {reason}" + (f"; {way}" if way else "")
    return PassError(message, name, kind, reason, way)


class Rewrite(Transformation):
    """A pass that looks at one node after the other. It notes a node that it refuses in the model, and goes on.

    RequireIntegers, one of the last passes, lists all that was refused and is still there.
    """

    def __init__(self):
        super().__init__()
        self._refused: set[str] = set()

    def rewrite(self, model: ModelWrapper, node: NodeProto) -> bool:
        """Rewrite the pattern that starts at ``node``, if this pass knows it; return whether it does.

        Raises:
            PassError: this pass knows the pattern, but there is no hardware for this form of it.
        """
        raise NotImplementedError

    def apply(self, model):
        changed = False
        for node in list(model.graph.node):
            key = node.output[0]
            gone = changed and model.find_producer(key) != node  # by the rewrite of another node
            if key in self._refused or gone:
                continue
            try:
                changed |= self.rewrite(model, node)
            except PassError as error:
                self._refused.add(key)
                notes = {key: {"name": error.name, "type": error.kind, "reason": error.reason, "way": error.way}}
                write_notes(model, REFUSALS, {**notes, **read_notes(model, REFUSALS)})
        return model, changed


LAYERS = ("Conv", "Gemm", "MatMul", "GroupVote")  # a replacement is listed under its layer
# metadata: tensor -> why it was refused; node -> kinds that it became; node -> error of its integer form
REFUSALS, ORIGINS, APPROXIMATIONS = "flow_refusals", "flow_origins", "flow_approximations"


def read_notes(model: ModelWrapper, kind: str) -> dict:
    """Return the notes of a ``kind`` (REFUSALS, ORIGINS, APPROXIMATIONS) in the model's metadata."""
    return json.loads(model.get_metadata_prop(kind) or "{}")


def write_notes(model: ModelWrapper, kind: str, notes: dict) -> None:
    """Write ``notes``, which replace those of the ``kind``, into the model's metadata."""
    model.set_metadata_prop(kind, json.dumps(notes))


def stream_shape(model: ModelWrapper, tensor: str) -> list[int]:
    """Return the shape [N, H, W, C] of the stream that carries the NCHW (or [N, C]) tensor."""
    shape = model.get_tensor_shape(tensor)
    if len(shape) == 2:
        return [shape[0], 1, 1, shape[1]]
    return [shape[0], shape[2], shape[3], shape[1]]


class Rewriter:
    """Collects the nodes of one replacement and then puts them where the old ones stood."""

    def __init__(self, model: ModelWrapper):
        self.model = model
        self.new: list[NodeProto] = []

    def _tensor(self, shape: list[int]) -> str:
        name = self.model.make_new_valueinfo_name()
        self.model.set_tensor_shape(name, shape, dtype=TensorProto.FLOAT)
        return name

    def to_stream(self, tensor: str, scale: float, flat: bool = False) -> str:
        """Add a ToStream of the real ``tensor``, whose values are integers times ``scale``; return its stream, with
        ``flat`` that of one pixel with all elements as its channels."""
        shape = stream_shape(self.model, tensor)
        shape = [shape[0], 1, 1, int(np.prod(shape[1:]))] if flat else shape
        output = self._tensor(shape)
        self.new.append(helper.make_node("ToStream", [tensor], [output], domain=DOMAIN, scale=scale, flat=int(flat)))
        return output

    def from_stream(self, stream: str, scale: float, tensor: str) -> None:
        """Add a FromStream, which writes the real ``tensor``, an existing name: the stream's integers times
        ``scale``."""
        flat = int(len(self.model.get_tensor_shape(tensor)) == 2)
        self.new.append(helper.make_node("FromStream", [stream], [tensor], domain=DOMAIN, scale=scale, flat=flat))

    def constant(self, array: np.ndarray) -> str:
        """Add ``array``, rounded, as a constant of the narrowest integer type that holds it; return its name."""
        name = self.model.make_new_valueinfo_name()
        integers = np.rint(array).astype(np.int64)
        kind = next(t for t in (np.int8, np.int16, np.int32, np.int64) if np.array_equal(integers, integers.astype(t)))
        self.model.set_initializer(name, integers.astype(kind))
        return name

    def node(self, kind: str, stream: str | list[str], constants=(), **attributes) -> str:
        """Add a hardware node that reads ``stream`` (one, or a list); return its output stream, the first of
        several."""
        streams = [stream] if isinstance(stream, str) else stream
        batch, height, width, channels = self.model.get_tensor_shape(streams[0])
        op = nodes.find(kind)(height=height, width=width, channels=channels, **attributes)
        outputs = []
        for out in op.outputs():
            outputs.append(self._tensor([batch, out.height, out.width, out.channels]))
            self.model.set_tensor_datatype(outputs[-1], DataType[out.datatype])
        self.new.append(node_of(op, [*streams, *(self.constant(c) for c in constants)], outputs))
        return outputs[0]

    def replace(self, old: list[NodeProto]) -> None:
        """Remove ``old`` and insert the new nodes in their place."""
        graph = self.model.graph
        kinds = " + ".join(node.op_type for node in self.new if node.op_type not in BOUNDARIES)
        first = next((node for node in old if node.op_type in LAYERS), old[0])
        origins = {node.name: kinds if node is first else f"with {first.name}" for node in old}
        write_notes(self.model, ORIGINS, {**read_notes(self.model, ORIGINS), **origins})
        # where the last of them stood: after all nodes that the new ones read, before all that read them
        index = max(list(graph.node).index(node) for node in old) - (len(old) - 1)
        for node in old:
            graph.node.remove(node)
        for offset, node in enumerate(self.new):
            node.name = node.name or f"{node.op_type}_{node.output[0]}"
            graph.node.insert(index + offset, node)
        self.new = []
