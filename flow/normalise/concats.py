"""Maps side by side: hardware has no node for them, every reader takes its parts instead."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from flow.analysis.attributes import attributes_of
from flow.graph import consumers
from flow.passes.chain import ELEMENTWISE, QUANTIZERS, has_constants_of_channels, is_uniform
from flow.passes.grid import grid_of

from .edit import QUANT_DOMAIN, Editor, NodeRefused, Normalisation
from .selections import on_grid
from .windows import as_one_group, zero_padded_weights

LAYERS = ("Conv", "MatMul")
BY_CHANNEL = ("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Flatten")
OF_ROWS = ("BatchNormalization", "MultiThreshold")  # their constants have the channels first


class Concats(Normalisation):
    """What reads several maps side by side reads each by itself.

    - What works channel by channel (constants, activations, quantizers, pools, Flatten, convolutions whose groups do
      not cross the borders) is done in each part, and the results stand side by side;
    - a layer is the sum of a layer for each part;
    - other readers get the parts together by a convolution for each whose weights are 0 and 1.

    A map beside itself is a node of its own, and stays.
    """

    kinds = ("Concat",)

    def apply(self, model):
        changed = True
        while changed:
            before = len(model.graph.node), sum(node.op_type == "Concat" for node in model.graph.node)
            model, _ = super().apply(model)
            after = len(model.graph.node), sum(node.op_type == "Concat" for node in model.graph.node)
            changed = before != after
        return model, False

    def rewrite(self, graph, node):
        model, output = graph.model, node.output[0]
        if len(set(node.input)) == 1 or attributes_of(node)["axis"] % len(graph.shape(output)) != 1:
            return False
        if any(model.get_initializer(name) is not None for name in node.input):
            return False
        sizes = [graph.shape(name)[1] for name in node.input]
        parts = Parts(list(node.input), np.cumsum([0, *sizes]))
        readers, changed = consumers(model, output), False
        for reader in readers:
            changed |= parts.read_by(Editor(model, reader), reader, output)
        left, last = consumers(model, output), output == model.graph.output[0].name
        if (left or last) and all(reader.op_type == "Add" for reader in left):
            parts.together(graph, output)
            changed, left, last = True, [], False
        if not left and not last:
            model.graph.node.remove(node)
        return changed


class Parts:
    """Tensors side by side: the i-th has the channels ``borders[i]`` to ``borders[i + 1]``."""

    def __init__(self, names: list[str], borders: np.ndarray):
        self.names, self.borders = names, borders

    def _slices(self):
        return [(name, slice(*ends)) for name, *ends in zip(self.names, self.borders[:-1], self.borders[1:])]

    def read_by(self, graph: Editor, reader: NodeProto, tensor: str) -> bool:
        """Let a reader of ``tensor`` read the parts; return whether it does."""
        kind, model = reader.op_type, graph.model
        if kind == "Concat":
            return self._nested(graph, reader, tensor)
        if kind in BY_CHANNEL and attributes_of(reader).get("axis", 1) == 1:
            return self._each(graph, reader, tensor)
        if kind == "Pad":
            return self._each(graph, reader, tensor) if _pads_pixels(model, reader) else False
        by_channel = kind in (*ELEMENTWISE, *QUANTIZERS) and has_constants_of_channels(model, reader)
        if by_channel and (kind != "Pointwise" or is_uniform(model, [reader])):
            return self._each(graph, reader, tensor)
        if kind in LAYERS and reader.input[0] == tensor:
            return self._groups(graph, reader) or self._sum(graph, reader)
        return False

    def _nested(self, graph, reader, tensor):
        if attributes_of(reader)["axis"] % len(graph.shape(tensor)) != 1 or set(reader.input) == {tensor}:
            return False
        names = [part for name in reader.input for part in (self.names if name == tensor else [name])]
        del reader.input[:]
        reader.input.extend(names)
        return True

    def _side_by_side(self, graph, reader, outputs):
        graph.before("Concat", outputs, reader.output[0], axis=1)
        graph.remove()
        return True

    def _each(self, graph, reader, tensor):
        """Do in each part what ``reader`` does."""
        outputs, rank = [], len(graph.shape(tensor))
        for name, channels in self._slices():
            inputs = [
                name if one == tensor else _of_channels(graph, reader, one, channels, rank) for one in reader.input
            ]
            outputs.append(graph.before(reader.op_type, inputs, domain=reader.domain, **attributes_of(reader)))
        return self._side_by_side(graph, reader, outputs)

    def _groups(self, graph, conv) -> bool:
        """Give each part the groups of a convolution that read it, if no group reads two parts."""
        model, groups = graph.model, attributes_of(conv).get("group", 1)
        inputs, channels = int(self.borders[-1]), graph.shape(conv.output[0])[1]
        if groups == 1 or (self.borders % (inputs // groups)).any() or conv.output[0] == model.graph.output[0].name:
            return False
        outputs = []
        for name, part in self._slices():
            own = slice(part.start * channels // inputs, part.stop * channels // inputs)
            kernel = _weights_of(graph, conv, lambda weights, own=own: weights[own], outputs=own)
            bias = [graph.constant(model.get_initializer(one)[own]) for one in conv.input[2:] if one]
            given = {**attributes_of(conv), "group": groups * (part.stop - part.start) // inputs}
            outputs.append(graph.before("Conv", [name, kernel, *bias], **given))
        return self._side_by_side(graph, conv, outputs)

    def _sum(self, graph, layer) -> bool:
        """Make a layer the sum of one for each part: of integers, where its outputs have a scale each, times these."""
        model = graph.model
        as_one_group(graph, layer)
        rows, total, quant = layer.op_type == "MatMul", "", model.find_producer(layer.input[1])
        scale = model.get_initializer(quant.input[1]) if quant is not None else np.ones(1)
        factors = scale if np.size(scale) > 1 else None
        shape = [1, -1] if rows else [1, -1, 1, 1]
        for name, part in self._slices():
            kernel = _weights_of(graph, layer, lambda w, part=part: w[part] if rows else w[:, part], factors)
            bias = list(layer.input[2:]) if not total and factors is None else []
            found = graph.before(layer.op_type, [name, kernel, *bias], **attributes_of(layer))
            total = graph.before("Add", [total, found]) if total else found
        if factors is not None:
            total = graph.before("Mul", [total, graph.constant(factors.reshape(shape))])
            for name in layer.input[2:]:
                total = graph.before("Add", [total, graph.constant(model.get_initializer(name).reshape(shape))])
        model.find_producer(total).output[0] = layer.output[0]
        graph.remove()
        return True

    def together(self, graph, tensor: str) -> None:
        """Make ``tensor`` the sum of layers that put each part in its place."""
        rows, total = len(graph.shape(tensor)) == 2, ""
        grid = grid_of(graph.model, tensor)
        for name, part in self._slices():
            places = np.eye(self.borders[-1])[part] if rows else np.eye(self.borders[-1])[:, part, None, None]
            kernel = zero_padded_weights(graph, places, np.ones(1))
            window = {} if rows else {"kernel_shape": [1, 1], "pads": [0] * 4}
            found = graph.before("MatMul" if rows else "Conv", [name, kernel], **window)
            total = graph.before("Add", [total, found]) if total else found
        graph.behind(tensor)
        if grid is None:
            graph.model.find_producer(total).output[0] = tensor
        else:
            on_grid(graph, total, grid, False, tensor)


def _pads_pixels(model, pad) -> bool:
    pads = model.get_initializer(pad.input[1])
    return pads is not None and not any(side[:2].any() for side in np.split(pads, 2))


def _of_channels(graph: Editor, node: NodeProto, name: str, channels: slice, rank: int) -> str:
    """Return a constant of some channels of an input of ``node``, whose tensor has ``rank`` axes."""
    value = graph.model.get_initializer(name) if name else None
    if value is None or node.op_type in (*BY_CHANNEL, "Pad"):
        return name
    axis = 0 if node.op_type in OF_ROWS else 1 - (rank - value.ndim)
    if value.ndim <= axis or axis < 0 or value.shape[axis] == 1:
        return name
    index = (*[slice(None)] * axis, channels)
    return graph.constant(np.ascontiguousarray(value[index]))


def _weights_of(graph: Editor, layer: NodeProto, select, factors=None, outputs: slice | None = None) -> str:
    """Insert what ``select`` takes of a layer's weights, or of them over ``factors``, the scales of all outputs;
    ``outputs`` are those of which it takes any. Return it.

    Raises:
        NodeRefused: the weights are no constants, or their quantizer has scales of inputs.
    """
    model = graph.model
    weights, quant = model.get_initializer(layer.input[1]), model.find_producer(layer.input[1])
    if weights is not None:
        return graph.constant(np.ascontiguousarray(select(weights)))
    weights = model.get_initializer(quant.input[0]) if quant is not None else None
    if weights is None or quant.op_type not in QUANTIZERS:
        raise NodeRefused(layer, "it reads a Concat, and its weights are no constants", "export quantized weights")
    names, axis = list(quant.input[1:]), 1 if layer.op_type == "MatMul" else 0
    for position, name in enumerate(names):
        value = model.get_initializer(name)
        shape = (1,) * (weights.ndim - value.ndim) + value.shape
        if value.size > 1 and shape[axis] != value.size:
            raise NodeRefused(layer, "it reads a Concat, and its weights have scales of inputs", "use one an output")
        if value.size > 1 and outputs is not None:
            names[position] = graph.constant(value.reshape(shape)[outputs])
    if factors is not None:
        weights, names[0] = weights / factors, graph.constant(1.0)
    part = graph.constant(np.ascontiguousarray(select(weights)))
    return graph.before(quant.op_type, [part, *names], domain=QUANT_DOMAIN, **attributes_of(quant))
