"""Editing an ONNX graph: new constants, new nodes, and readers that read another tensor."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto, TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.general import SortGraph
from qonnx.transformation.infer_shapes import InferShapes

from flow.custom_op import DOMAIN
from flow.errors import FlowError
from flow.graph import consumers
from flow.pointwise import written_kind

QUANT_DOMAIN = "qonnx.custom_op.general"


class NodeRefused(FlowError):
    """A node of the user's file that no form of hardware does: node, reason and way out."""

    def __init__(self, node: NodeProto, reason: str, way: str):
        super().__init__(f"{node.name or node.output[0]} ({written_kind(node)}): {reason}; {way}")


class Normalisation(Transformation):
    """A pass that writes the same numbers in another way, node by node.

    A subclass states ``kinds`` and `rewrite`. Shapes are inferred again after a change.
    """

    kinds: tuple[str, ...] = ()

    def rewrite(self, graph: Editor, node: NodeProto) -> bool:
        """Rewrite ``node``; return whether it did.

        Raises:
            NodeRefused: there is no other way to write the node.
        """
        raise NotImplementedError

    def apply(self, model):
        changed = False
        for node in list(model.graph.node):
            if node.op_type in self.kinds and node.domain != DOMAIN and node in model.graph.node:
                changed |= self.rewrite(Editor(model, node), node)
        if changed:
            for refresh in (InferShapes(), SortGraph()):
                model = model.transform(refresh, make_deepcopy=False, cleanup=False)
        return model, False


class Editor:
    """Edits around one node; new nodes are named after it."""

    def __init__(self, model: ModelWrapper, node: NodeProto):
        self.model, self.node, self._count = model, node, 0

    def shape(self, tensor: str) -> list[int]:
        """Return a tensor's shape."""
        return self.model.get_tensor_shape(tensor)

    def constant(self, value) -> str:
        """Add a float32 constant (integers stay int64); return its name."""
        name, value = self.model.make_new_valueinfo_name(), np.asarray(value)
        self.model.set_initializer(name, value if value.dtype == np.int64 else value.astype(np.float32))
        return name

    def before(self, kind: str, inputs: list[str], output: str | None = None, **attributes) -> str:
        """Insert a node in front of this one; return its output, a new tensor unless it is given."""
        return self._insert(self._index(), kind, inputs, output, attributes)

    def after(self, kind: str, inputs: list[str], output: str, **attributes) -> str:
        """Insert a node right after this one, which gives ``output``."""
        return self._insert(self._index() + 1, kind, inputs, output, attributes)

    def behind(self, tensor: str) -> str:
        """Give this node's output ``tensor`` a new name; return it. Readers, and the graph's output, keep ``tensor``,
        for a node that is inserted behind."""
        new = self._tensor(tensor)
        position = list(self.node.output).index(tensor)
        self.node.output[position] = new
        return new

    def quant(self, tensor: str, scale: float, bits: int, *, signed=1, narrow=0, rounding="ROUND", output=None) -> str:
        """Insert a Quant of ``tensor`` in front of this node; return its output."""
        names = [self.constant(np.float32(value)) for value in (scale, 0.0, bits)]
        return self.before(
            "Quant", [tensor, *names], output, domain=QUANT_DOMAIN, signed=signed, narrow=narrow, rounding_mode=rounding
        )

    def remove(self) -> None:
        """Remove this node."""
        self.model.graph.node.remove(self.node)

    def bypass(self) -> None:
        """Remove this node; its readers, or the graph's output, take its first input."""
        source, output = self.node.input[0], self.node.output[0]
        self.remove()
        if output in {info.name for info in self.model.graph.output}:
            producer = self.model.find_producer(source)
            if producer is None:
                self.model.graph.node.append(helper.make_node("Identity", [source], [output]))
                return
            for reader in consumers(self.model, source):
                reroute(reader, source, output)
            producer.output[list(producer.output).index(source)] = output
            return
        for reader in consumers(self.model, output):
            reroute(reader, output, source)

    def _index(self) -> int:
        return list(self.model.graph.node).index(self.node)

    def _tensor(self, like: str | None = None) -> str:
        name = self.model.make_new_valueinfo_name()
        shape = self.model.get_tensor_shape(like) if like else None
        info = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        self.model.graph.value_info.append(info)  # reserves the name
        return name

    def _insert(self, index: int, kind: str, inputs: list[str], output: str | None, attributes: dict) -> str:
        output = output or self._tensor()
        self._count += 1
        name = f"{self.node.name or self.node.output[0]}_{kind.lower()}{self._count}"
        self.model.graph.node.insert(index, helper.make_node(kind, inputs, [output], name=name, **attributes))
        return output


def reroute(node: NodeProto, old: str, new: str) -> None:
    """Make ``node`` read ``new`` where it reads ``old``."""
    for position, name in enumerate(node.input):
        if name == old:
            node.input[position] = new


def set_attribute(node: NodeProto, **values) -> None:
    """Set attributes of ``node``; None removes one."""
    kept = [attribute for attribute in node.attribute if attribute.name not in values]
    del node.attribute[:]
    node.attribute.extend(kept)
    node.attribute.extend(helper.make_attribute(k, v) for k, v in values.items() if v is not None)
