"""The network's input as one image [1, channels, height, width], and layouts of other frameworks."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.infer_shapes import InferShapes

from flow.analysis.attributes import attributes_of
from flow.graph import consumers
from flow.passes.chain import CURVED, STRAIGHT

from .edit import Editor, Normalisation, set_attribute
from .means import REDUCTIONS, reduce_over, reduced_axes

TO_ROWS, TO_CHANNELS = [0, 2, 3, 1], [0, 3, 1, 2]  # NCHW to NHWC, and back
TOGETHER = ("Add", "Sub", "Sum", "Max", "Min", "Concat")  # of several streams
ELEMENTWISE = (*(kind for kind in STRAIGHT if kind != "BatchNormalization"), *CURVED, "Quant", "BipolarQuant", "Sign")


class ImageInput(Transformation):
    """An input [1, F] or [1, H, W, C] is read as an image [1, C, H, W], and brought to its shape behind.

    [1, H, W, C] is known by 1 or 3 in its last place and not in its second; a row that the network itself turns into a
    map is that map.
    """

    def apply(self, model: ModelWrapper):
        inputs = [info for info in model.graph.input if model.get_initializer(info.name) is None]
        if len(inputs) != 1:
            return model, False
        name, shape = inputs[0].name, model.get_tensor_shape(inputs[0].name)
        if shape is None or len(shape) not in (2, 4):
            return model, False
        if len(shape) == 4:
            if not (shape[3] in (1, 3) and shape[1] not in (1, 3)):
                return model, False
            image = [1, shape[3], shape[1], shape[2]]
            node = helper.make_node("Transpose", ["image"], [name], name="image_to_rows", perm=TO_ROWS)
        else:
            image = self._map_of_row(model, name) or [1, shape[1], 1, 1]
            node = helper.make_node("Flatten", ["image"], [name], name="image_to_row", axis=1)
        model.graph.input.remove(inputs[0])
        model.graph.input.insert(0, helper.make_tensor_value_info("image", TensorProto.FLOAT, image))
        model.graph.node.insert(0, node)
        return model.transform(InferShapes(), make_deepcopy=False, cleanup=False), False

    @staticmethod
    def _map_of_row(model, tensor: str) -> list[int] | None:
        """Return the shape of the map that the row ``tensor`` becomes behind elementwise nodes, or None."""
        readers = consumers(model, tensor)
        while len(readers) == 1 and readers[0].op_type in (*ELEMENTWISE, *NORMS):
            readers = consumers(model, readers[0].output[0])
        shape = model.get_tensor_shape(readers[0].output[0]) if len(readers) == 1 else []
        return shape if len(shape) == 4 and readers[0].op_type == "Reshape" and shape[0] == 1 else None


class MoveTransposes(Normalisation):
    """A Transpose to rows goes behind the elementwise nodes that read it, until it meets its inverse, or a Flatten,
    whose dense layer gets its weights in the other order."""

    kinds = ("Transpose",)

    def apply(self, model):
        for _ in range(200):
            before = [(node.op_type, list(node.input)) for node in model.graph.node]
            model, _ = super().apply(model)
            if before == [(node.op_type, list(node.input)) for node in model.graph.node]:
                break
        return model, False

    def rewrite(self, graph, node):
        model, order = graph.model, attributes_of(node).get("perm")
        if order == list(range(len(order or ()))):
            graph.bypass()
            return True
        if order != TO_ROWS or model.get_initializer(node.input[0]) is not None:
            return False
        moved = False
        for reader in consumers(model, node.output[0]):
            moved |= self._move(Editor(model, reader), reader, node)
        if not consumers(model, node.output[0]) and node.output[0] != model.graph.output[0].name:
            graph.remove()
        return moved

    def _move(self, graph, reader, node):
        tensor, source = node.output[0], node.input[0]
        if reader.op_type == "Transpose" and attributes_of(reader)["perm"] == TO_CHANNELS:
            reader.input[0] = source
            set_attribute(reader, perm=[0, 1, 2, 3])
            return True
        if reader.op_type in TOGETHER and self._together(graph, reader):
            return True
        if reader.op_type in ELEMENTWISE:
            return self._elementwise(graph, reader, tensor, source)
        if reader.op_type in ("Pad", "Slice"):
            return self._by_axis(graph, reader, source)
        if reader.op_type in ("Flatten", "Reshape"):
            return self._flatten(graph, reader, tensor, source)
        if reader.op_type in REDUCTIONS:
            return self._reduction(graph, reader, source)
        return False

    @staticmethod
    def _elementwise(graph, reader, tensor, source):
        others = [name for name in reader.input if name and name != tensor]
        values = [graph.model.get_initializer(name) for name in others]
        if any(value is None for value in values) or list(reader.input).count(tensor) != 1:
            return False
        for position, name in enumerate(reader.input):
            value = graph.model.get_initializer(name) if name and name != tensor else None
            if value is not None and value.size > 1:
                value = value.reshape([1] * (4 - value.ndim) + list(value.shape))
                reader.input[position] = graph.constant(np.ascontiguousarray(value.transpose(TO_CHANNELS)))
        reader.input[list(reader.input).index(tensor)] = source
        _to_rows_behind(graph, reader)
        return True

    @staticmethod
    def _together(graph, reader) -> bool:
        """Let a node read the maps whose rows it reads, if all that it reads are such."""
        producers = [graph.model.find_producer(name) for name in reader.input]
        if not all(node is not None and node.op_type == "Transpose" for node in producers):
            return False
        if any(attributes_of(node).get("perm") != TO_ROWS for node in producers):
            return False
        if reader.op_type == "Concat":
            set_attribute(reader, axis=TO_ROWS[attributes_of(reader)["axis"] % 4])
        for position, node in enumerate(producers):
            reader.input[position] = node.input[0]
        _to_rows_behind(graph, reader)
        return True

    @staticmethod
    def _by_axis(graph, reader, source) -> bool:
        """Move behind a Pad or a Slice, whose numbers are of axes."""
        constants = [graph.model.get_initializer(name) for name in reader.input[1:] if name]
        if reader.op_type == "Pad":
            if len(reader.input) > 3 or constants[0] is None:
                return False
            reader.input[1] = graph.constant(constants[0].reshape(2, 4)[:, TO_CHANNELS].reshape(-1))
        else:
            if any(value is None for value in constants):
                return False
            axes = np.ravel(constants[2]) if len(constants) > 2 else np.arange(constants[0].size)
            moved = graph.constant(np.array([TO_ROWS[axis % 4] for axis in axes], np.int64))
            del reader.input[3:4]
            reader.input.insert(3, moved)
        reader.input[0] = source
        _to_rows_behind(graph, reader)
        return True

    @staticmethod
    def _reduction(graph, reader, source):
        axes, keep = reduced_axes(graph, reader), attributes_of(reader).get("keepdims", 1)
        if axes not in ([1], [2], [1, 2]) or (not keep and len(axes) == 1):
            return False
        reduce_over(graph, reader, source, [axis + 1 for axis in axes])
        if keep:
            _to_rows_behind(graph, reader)
        return True

    @staticmethod
    def _flatten(graph, reader, tensor, source):
        model, shape = graph.model, graph.shape(source)
        readers = consumers(model, reader.output[0])
        if len(graph.shape(reader.output[0])) != 2 or len(readers) != 1 or readers[0].op_type != "MatMul":
            return False
        weights = model.find_producer(readers[0].input[1])
        name = weights.input[0] if weights is not None else readers[0].input[1]
        value = model.get_initializer(name)
        rows = weights is not None and weights.op_type == "Transpose"
        if rows:
            weights = model.find_producer(name)
            name = weights.input[0] if weights is not None else name
            value = model.get_initializer(name)
        if value is None or (weights is not None and weights.op_type not in ("Quant", "BipolarQuant")):
            return False
        order = np.arange(int(np.prod(shape[1:]))).reshape(shape[2], shape[3], shape[1]).transpose(2, 0, 1).reshape(-1)
        turned = graph.constant(np.ascontiguousarray(value[:, order] if rows else value[order]))
        holder = weights if weights is not None else readers[0]
        holder.input[list(holder.input).index(name)] = turned
        reader.input[0] = source
        return True


def _to_rows_behind(graph: Editor, node) -> None:
    output = node.output[0]
    inner = Editor(graph.model, node).behind(output)
    _forget_shapes(graph.model, inner, output)
    graph.after("Transpose", [inner], output, perm=TO_ROWS)


NORMS = ("BatchNormalization",)


class FlattenLater(Normalisation):
    """A Flatten in front of the first quantizer goes behind it: pixels are quantized where they are."""

    kinds = ("Flatten", "Reshape")

    def apply(self, model):
        for _ in range(100):
            before = [(node.op_type, list(node.input)) for node in model.graph.node]
            model, _ = super().apply(model)
            if before == [(node.op_type, list(node.input)) for node in model.graph.node]:
                break
        return model, False

    def rewrite(self, graph, node):
        model = graph.model
        if node.input[0] != model.graph.input[0].name:
            producer = model.find_producer(node.input[0])
            if producer is None or not _from_input(model, producer):
                return False
        readers = consumers(model, node.output[0])
        if len(readers) != 1 or readers[0].op_type not in (*ELEMENTWISE, *NORMS, "Reshape"):
            return False
        (reader,) = readers
        if reader.op_type == "Reshape":
            return self._undone(graph, node, reader)
        constants = [model.get_initializer(name) for name in reader.input if name and name != node.output[0]]
        by_pixel = graph.shape(node.input[0])[2:] == [1, 1]  # a feature is a channel
        if any(value is None or (value.size > 1 and not by_pixel) for value in constants):
            return False
        for position, name in enumerate(reader.input if reader.op_type != "BatchNormalization" else ()):
            value = model.get_initializer(name) if name else None
            if value is not None and value.size > 1:
                reader.input[position] = graph.constant(value.reshape(1, -1, 1, 1))
        source, output = node.input[0], reader.output[0]
        inner = Editor(model, reader).behind(output)
        _forget_shapes(model, inner, output)
        reader.input[list(reader.input).index(node.output[0])] = source
        _forget_shapes(model, node.output[0])
        model.graph.node.remove(node)
        node.input[0], node.output[0] = inner, output
        model.graph.node.insert(list(model.graph.node).index(reader) + 1, node)
        return True

    @staticmethod
    def _undone(graph, flatten, reshape) -> bool:
        """Remove a Flatten and the Reshape that takes it back."""
        if graph.shape(flatten.input[0]) != graph.shape(reshape.output[0]):
            return False
        for node in (reshape, flatten):
            Editor(graph.model, node).bypass()
        return True


def _from_input(model, node) -> bool:
    """Return whether ``node`` reads the image through elementwise nodes."""
    while node is not None and node.op_type in (*ELEMENTWISE, *NORMS):
        variable = next((name for name in node.input if name and model.get_initializer(name) is None), None)
        if variable == model.graph.input[0].name:
            return True
        node = model.find_producer(variable)
    return False


def _forget_shapes(model, *tensors: str) -> None:
    for info in [info for info in model.graph.value_info if info.name in tensors]:
        model.graph.value_info.remove(info)
