"""Constants added to a stream, moved behind the layers that read it."""

from __future__ import annotations

import numpy as np
from qonnx.transformation.base import Transformation

from flow.analysis.attributes import attributes_of
from flow.analysis.constants import Constants
from flow.graph import consumers
from flow.passes.chain import ELEMENTWISE, QUANTIZERS

from .edit import Editor, Normalisation, reroute, set_attribute

LAYERS = ("Conv", "MatMul")
POOLS = ("MaxPool", "AveragePool", "GlobalAveragePool")
RESHAPES = ("Flatten", "Reshape")
ON_GRID = (
    "Quant",
    "BipolarQuant",
    "Concat",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Add",
    "Mul",
    "Div",
    "Pad",
    *RESHAPES,
)


class MoveOffsets(Normalisation):
    """A constant that is added to a quantized stream is added to the sums of the layer behind it instead.

    ``layer(x + c) = layer(x) + layer(c)``. Zeros around a map of x + c are values -c around that of x.
    """

    kinds = ("Add",)

    def apply(self, model):
        for _ in range(100):
            before = len(model.graph.node), [list(node.input) for node in model.graph.node]
            model, _ = super().apply(model)
            if before == (len(model.graph.node), [list(node.input) for node in model.graph.node]):
                break
        return model, False

    def rewrite(self, graph, node):
        model = graph.model
        offset = [model.get_initializer(name) for name in node.input]
        if (offset[0] is None) == (offset[1] is None):
            return False
        position = int(offset[0] is None)
        source, offset = node.input[1 - position], np.asarray(offset[position], np.float64)
        producer = model.find_producer(source)
        if producer is None or producer.op_type not in (*ON_GRID, *LAYERS):
            return False
        constants = [model.get_initializer(name) for name in producer.input]
        if producer.op_type in ("Mul", "Div"):
            variables = [name for name, value in zip(producer.input, constants) if value is None]
            before = model.find_producer(variables[0]) if len(variables) == 1 else None
            if before is None or before.op_type not in ON_GRID:
                return False
        if producer.op_type == "Add" and any(model.get_initializer(name) is not None for name in producer.input):
            return False
        rank = len(graph.shape(source))
        offset = offset.reshape([1] * (rank - offset.ndim) + list(offset.shape))
        if offset.size != np.prod(offset.shape[1:2] or (1,)):
            return False  # it varies by position
        offset, moved = offset.reshape(-1), False
        for reader in consumers(model, node.output[0]):
            move = MOVES.get(reader.op_type)
            if move is not None and (producer.op_type not in LAYERS or _sums_layers(model, reader)):
                moved |= move(Editor(model, reader), reader, node.output[0], source, offset)
        left = consumers(model, node.output[0])
        if not left and node.output[0] != model.graph.output[0].name:
            model.graph.node.remove(node)
        for reader in left[1:] if producer.op_type in QUANTIZERS else []:  # one each, for a chain of its own
            if reader.op_type in ELEMENTWISE:
                copy = graph.before("Add", list(node.input))
                reroute(reader, node.output[0], copy)
                moved = True
        return moved


def _sums_layers(model, node) -> bool:
    """Return whether ``node`` adds the sums of layers, constants among them, and nothing else."""
    variables = [name for name in node.input if model.get_initializer(name) is None]
    producers = [model.find_producer(name) for name in variables]
    if node.op_type != "Add" or None in producers:
        return False
    return all(one.op_type in LAYERS or _sums_layers(model, one) for one in producers)


def _read_source(graph: Editor, reader, tensor: str, source: str, behind: np.ndarray) -> bool:
    """Let ``reader`` read ``source``, and add ``behind`` [C] or [1] to its output."""
    for position, name in enumerate(reader.input):
        if name == tensor:
            reader.input[position] = source
    output = reader.output[0]
    rank = len(graph.shape(output))
    inner = graph.behind(output)
    shape = [1, -1, *[1] * (rank - 2)] if behind.size > 1 else []
    graph.after("Add", [inner, graph.constant(behind.reshape(shape))], output)
    return True


def _through_conv(graph, conv, tensor, source, offset):
    value = Constants(graph.model).value(conv.input[1])
    given = attributes_of(conv)
    pads = list(given.get("pads", [0] * 4))
    if value is None or conv.input[1] == tensor or given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        return False
    if any(pads) and offset.size > 1 and np.ptp(offset):
        return False
    groups = given.get("group", 1)
    channels = value.shape[1] * groups
    each = np.broadcast_to(offset, channels).reshape(groups, -1)
    owner = np.repeat(np.arange(groups), len(value) // groups)
    behind = (value.reshape(len(value), value.shape[1], -1).sum(axis=2) * each[owner]).sum(axis=1)
    source = _padded(graph, conv, source, pads, -offset[0])
    return _read_source(graph, conv, tensor, source, behind)


def _padded(graph, node, source, pads, value) -> str:
    """Return ``source``, or a Pad of it with ``value`` in place of the pads of ``node``."""
    if not any(pads):
        return source
    half = len(pads) // 2
    full = np.array([0, 0, *pads[:half], 0, 0, *pads[half:]], np.int64)
    set_attribute(node, pads=[0] * len(pads))
    return graph.before("Pad", [source, graph.constant(full), graph.constant(value)], mode="constant")


def _through_matmul(graph, matmul, tensor, source, offset):
    value = Constants(graph.model).value(matmul.input[1])
    if value is None or matmul.input[0] != tensor:
        return False
    return _read_source(graph, matmul, tensor, source, np.broadcast_to(offset, len(value)) @ value.astype(np.float64))


def _through_pool(graph, pool, tensor, source, offset):
    given = attributes_of(pool)
    pads = list(given.get("pads", [0] * 4))
    if pool.op_type == "AveragePool" and any(pads) and given.get("count_include_pad", 0):
        if offset.size > 1 and np.ptp(offset):
            return False
        source = _padded(graph, pool, source, pads, -offset[0])
    return _read_source(graph, pool, tensor, source, offset)


def _through_reshape(graph, node, tensor, source, offset):
    before, after = graph.shape(tensor), graph.shape(node.output[0])
    if before[0] != after[0] or (offset.size > 1 and len(after) != 2):
        return False
    spread = np.repeat(offset, int(np.prod(before[2:]))) if offset.size > 1 else offset
    return _read_source(graph, node, tensor, source, spread)


def _through_pad(graph, pad, tensor, source, offset):
    if attributes_of(pad).get("mode", b"constant") != b"constant" or (offset.size > 1 and np.ptp(offset)):
        return False
    value = graph.model.get_initializer(pad.input[2]) if len(pad.input) > 2 and pad.input[2] else np.zeros(1)
    if value is None:
        return False
    shifted = graph.constant(np.float32(np.ravel(value)[0] - offset[0]))
    inputs = [pad.input[0], pad.input[1], shifted]
    del pad.input[:]
    pad.input.extend(inputs)
    return _read_source(graph, pad, tensor, source, offset[:1])


def _through_add(graph, add, tensor, source, offset):
    if any(graph.model.get_initializer(name) is not None for name in add.input) or add.input[0] == add.input[1]:
        return False
    return _read_source(graph, add, tensor, source, offset)


def _through_concat(graph, concat, tensor, source, offset):
    if attributes_of(concat)["axis"] != 1 or list(concat.input).count(tensor) > 1:
        return False
    parts = [np.broadcast_to(offset if name == tensor else 0.0, graph.shape(name)[1]) for name in concat.input]
    return _read_source(graph, concat, tensor, source, np.concatenate(parts))


MOVES = {
    "Conv": _through_conv,
    "MatMul": _through_matmul,
    "Pad": _through_pad,
    "Add": _through_add,
    "Concat": _through_concat,
    **dict.fromkeys(POOLS, _through_pool),
    **dict.fromkeys(RESHAPES, _through_reshape),
}


class MoveScales(MoveOffsets):
    """A number that a quantized stream is multiplied by multiplies the sums of the layer behind it instead."""

    kinds = ("Mul", "Div")

    def rewrite(self, graph, node):
        model = graph.model
        constants = [model.get_initializer(name) for name in node.input]
        position = int(constants[0] is None)
        factor = constants[position]
        if (constants[0] is None) == (constants[1] is None) or factor.size != 1 or not np.all(factor):
            return False
        if node.op_type == "Div" and position == 0:
            return False
        source, factor = node.input[1 - position], float(factor.reshape(-1)[0])
        producer = model.find_producer(source)
        if producer is None or producer.op_type not in (*QUANTIZED, *RESHAPES):
            return False
        moved, positive = False, factor > 0
        for reader in consumers(model, node.output[0]):
            layer = reader.op_type in ("Conv", "MatMul") and reader.input[0] == node.output[0]
            padded = reader.op_type == "Pad" and self._pads_constant(Editor(model, reader), reader, node, factor)
            if layer or padded or reader.op_type in RESHAPES or (reader.op_type in POOLS and positive):
                self._behind(Editor(model, reader), reader, node, source, factor)
                moved = True
        if not consumers(model, node.output[0]) and node.output[0] != model.graph.output[0].name:
            model.graph.node.remove(node)
        return moved

    @staticmethod
    def _pads_constant(graph, pad, node, factor) -> bool:
        """Let ``pad`` pad with what gives its constant when it is multiplied; return whether it pads with one."""
        if attributes_of(pad).get("mode", b"constant") != b"constant" or len(pad.input) < 3 or not pad.input[2]:
            return attributes_of(pad).get("mode", b"constant") == b"constant"
        value = graph.model.get_initializer(pad.input[2])
        if value is None:
            return False
        pad.input[2] = graph.constant(value * factor if node.op_type == "Div" else value / factor)
        return True

    @staticmethod
    def _behind(graph, reader, node, source, factor):
        reader.input[0] = source
        output = reader.output[0]
        inner = graph.behind(output)
        if reader.op_type != "Conv" or len(reader.input) < 3:
            graph.after(node.op_type, [inner, graph.constant(np.float32(factor))], output)
            return
        bias = np.ravel(Constants(graph.model).value(reader.input[2]))  # is not multiplied
        del reader.input[2:]
        scaled = graph.behind(inner)
        graph.after("Add", [inner, graph.constant(bias.reshape(-1, *[1] * (len(graph.shape(output)) - 2)))], output)
        graph.after(node.op_type, [scaled, graph.constant(np.float32(factor))], inner)


QUANTIZED = ("Quant", "BipolarQuant", "MaxPool", "AveragePool", "GlobalAveragePool")


class MergeAdds(Transformation):
    """Two constants that are added one after the other become one."""

    def apply(self, model):
        for node in list(model.graph.node):
            if node.op_type != "Add":
                continue
            constant = next((name for name in node.input if model.get_initializer(name) is not None), None)
            other = next((name for name in node.input if model.get_initializer(name) is None), None)
            producer = model.find_producer(other) if constant and other else None
            if producer is None or producer.op_type != "Add" or len(consumers(model, other)) != 1:
                continue
            first = next((name for name in producer.input if model.get_initializer(name) is not None), None)
            if first is None:
                continue
            total = model.get_initializer(first).astype(np.float64) + model.get_initializer(constant)
            name = model.make_new_valueinfo_name()
            model.set_initializer(name, total.astype(np.float32))
            source = next(n for n in producer.input if n != first)
            del node.input[:]
            node.input.extend([source, name])
            model.graph.node.remove(producer)
        return model, False
