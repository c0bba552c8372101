"""Signals [1, C, L] as maps of one row, [1, C, 1, L]: everything behind knows maps only."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.infer_shapes import InferShapes

from flow.analysis.attributes import attributes_of
from flow.passes.chain import AROUND, CURVED, STRAIGHT

from .edit import Editor, NodeRefused, set_attribute
from .means import REDUCTIONS, reduce_over, reduced_axes

ELEMENTWISE = (*STRAIGHT, *CURVED, *AROUND, "Quant", "BipolarQuant", "MultiThreshold", "Trunc", "Dropout")
WINDOWED = ("Conv", "MaxPool", "AveragePool")
LAYERS = ("Conv", "MatMul", "Gemm")
POOLS = ("GlobalAveragePool", "GlobalMaxPool")


class SignalsAsMaps(Transformation):
    """Every stream of three dimensions gets a row; kernels, pads, constants and axes get it too."""

    def apply(self, model: ModelWrapper):
        streams = self._streams(model)
        if not streams:
            return model, False
        self.model, self.streams = model, streams
        for info in model.graph.input:
            if info.name in streams:
                dims = model.get_tensor_shape(info.name)
                info.CopyFrom(helper.make_tensor_value_info(info.name, TensorProto.FLOAT, [*dims[:2], 1, dims[2]]))
        for node in list(model.graph.node):
            if any(name in streams for name in node.output) or self._ends_in_row(node):
                self._node(node)
            elif any(name in streams for name in node.input):
                self._leave(node)
        del model.graph.value_info[:]
        for info in model.graph.output:
            info.type.tensor_type.ClearField("shape")
        return model.transform(InferShapes(), make_deepcopy=False, cleanup=False), False

    def _streams(self, model) -> set[str]:
        """Return the tensors of three dimensions that depend on the image and that a layer reads or gives; those of the
        network's tail stay."""
        found = {info.name for info in model.graph.input if model.get_initializer(info.name) is None}
        for node in model.graph.node:
            if found & set(node.input):
                found |= set(node.output)
        read: set[str] = set()
        for node in reversed(model.graph.node):
            if node.op_type in LAYERS or read & set(node.output):
                read |= set(node.input)
        given = {node.output[0] for node in model.graph.node if node.op_type in LAYERS}
        self.rows = read
        return {name for name in found & (read | given) if len(model.get_tensor_shape(name) or ()) == 3}

    def _ends_in_row(self, node) -> bool:
        """Return whether a node makes a row, which a layer reads, of a signal."""
        return node.input[0] in self.streams and any(reader in self.rows for reader in node.output)

    def _leave(self, node) -> None:
        """Let a node of the tail read signals as the file has them."""
        for position, name in enumerate(node.input):
            if name in self.streams:
                node.input[position] = self.model.make_new_valueinfo_name()
                shape = self.model.make_new_valueinfo_name()
                self.model.set_initializer(shape, np.array([0, *self.model.get_tensor_shape(name)[1:]], np.int64))
                reshape = helper.make_node("Reshape", [name, shape], [node.input[position]], name=f"{node.name}_signal")
                self.model.graph.node.insert(list(self.model.graph.node).index(node), reshape)

    def _node(self, node) -> None:
        kind, entering = node.op_type, node.input[0] in self.streams
        if kind in WINDOWED and entering:
            self._windowed(node)
        elif kind in ELEMENTWISE:
            for position, name in enumerate(node.input):
                value = self.model.get_initializer(name) if name else None
                if value is not None and 2 <= value.ndim <= 3 and kind not in ("MultiThreshold", "BatchNormalization"):
                    self._constant(node, position, np.expand_dims(value, -2))
        elif kind in ("Reshape", "Flatten", "Squeeze", "Unsqueeze"):
            self._reshape(node)
        elif kind in REDUCTIONS:
            self._axes(node)
        elif kind in ("Concat", "Split", "Gather") and entering:
            self._axis(node)
        elif kind == "Slice" and entering:
            self._slice_axes(node)
        elif kind == "Pad" and entering:
            pads = self.model.get_initializer(node.input[1])
            self._constant(node, 1, np.insert(pads, [2, 5], 0))
        elif kind not in POOLS:
            raise NodeRefused(node, "it reads or gives a signal of three dimensions", "use maps, or a row of elements")

    def _constant(self, node, position: int, value: np.ndarray) -> None:
        name = self.model.make_new_valueinfo_name()
        self.model.set_initializer(name, np.ascontiguousarray(value))
        node.input[position] = name

    def _windowed(self, node) -> None:
        given = attributes_of(node)
        for name in ("kernel_shape", "strides", "dilations"):
            if name in given:
                set_attribute(node, **{name: [1, *given[name]]})
        if "pads" in given:
            set_attribute(node, pads=[0, given["pads"][0], 0, given["pads"][1]])
        if node.op_type == "Conv":
            self._kernel(node, 1)

    def _kernel(self, node, position: int) -> None:
        """Give constant weights [O, C, K], and their scales, a row."""
        name = node.input[position]
        value = self.model.get_initializer(name)
        if value is not None:
            if value.ndim == 3:
                self._constant(node, position, np.expand_dims(value, 2))
            return
        producer = self.model.find_producer(name)
        if producer is None:
            raise NodeRefused(node, "its weights depend on the image", "use constant weights")
        for index in range(len(producer.input)):
            self._kernel(producer, index)

    def _reshape(self, node) -> None:
        shape = self.model.get_tensor_shape(node.output[0])
        shape = [*shape[:2], 1, shape[2]] if node.output[0] in self.streams else shape
        del node.attribute[:]
        source = node.input[0]
        del node.input[:]
        if len(shape) == 2:
            node.op_type = "Flatten"
            node.input.append(source)
            return
        node.op_type = "Reshape"
        node.input.extend([source, ""])
        self._constant(node, 1, np.array([0, *shape[1:]], np.int64))

    def _axes(self, node) -> None:
        editor = Editor(self.model, node)
        if reduced_axes(editor, node, rank=3) != [2]:
            raise NodeRefused(node, "it reduces other axes than the signal's", "reduce the signal alone")
        reduce_over(editor, node, node.input[0], [2, 3])

    @staticmethod
    def _axis(node) -> None:
        axis = attributes_of(node).get("axis", 0) % 3
        set_attribute(node, axis=axis + (axis == 2))

    def _slice_axes(self, node) -> None:
        starts = self.model.get_initializer(node.input[1])
        given = self.model.get_initializer(node.input[3]) if len(node.input) > 3 and node.input[3] else None
        if starts is None or (given is None and len(node.input) > 3 and node.input[3]):
            raise NodeRefused(node, "its places depend on the image", "use constants")
        axes = np.arange(len(starts)) if given is None else given % 3
        if len(node.input) == 3:
            node.input.append("")
        self._constant(node, 3, (axes + (axes == 2)).astype(np.int64))
