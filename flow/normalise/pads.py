"""Pads of maps: right in front of one layer or pool each."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from flow.analysis.attributes import attributes_of
from flow.graph import consumers
from flow.nodes.windows import reach
from flow.passes.chain import ELEMENTWISE, QUANTIZERS, evaluate_chain, has_constants_of_channels, is_uniform
from flow.passes.grid import grid_of

from .edit import Editor, NodeRefused, Normalisation, reroute, set_attribute
from .selections import on_grid
from .windows import zero_padded_weights

WINDOWS = ("Conv", "AveragePool", "MaxPool", "GlobalAveragePool", "GlobalMaxPool", "Pad")


class WholePads(Normalisation):
    """A Pad of some axes says what it pads of all, and has no axes."""

    kinds = ("Pad",)

    def rewrite(self, graph, node):
        if len(node.input) < 4 or not node.input[3]:
            return False
        pads, axes = (graph.model.get_initializer(name) for name in (node.input[1], node.input[3]))
        if pads is None or axes is None:
            raise NodeRefused(node, "its pads or axes depend on the image", "use constant ones")
        rank, axes = len(graph.shape(node.input[0])), np.ravel(axes)
        whole = np.zeros((2, rank), np.int64)
        whole[:, axes % rank] = pads.reshape(2, len(axes))
        node.input[1] = graph.constant(whole.reshape(-1))
        del node.input[3:]
        return True


class Pads(Normalisation):
    """A Pad with a constant around a map stands in front of one layer or pool.

    It is repeated for each reader, goes behind elementwise nodes of one number for all channels, and is one with the
    zeros of a convolution that pads itself. In front of any other node it is a convolution, whose windows take one
    element each; so it is where pads hold whole windows of the layer behind. What a maximum never takes are the pads of
    the pool itself.
    """

    kinds = ("Pad", "Conv")

    def apply(self, model):
        for _ in range(100):
            before = [(node.op_type, list(node.input)) for node in model.graph.node]
            model, _ = super().apply(model)
            if before == [(node.op_type, list(node.input)) for node in model.graph.node]:
                break
        return model, False

    def rewrite(self, graph, node):
        if node.op_type == "Conv":
            return self._out_of(graph, node)
        model, tensor, found = graph.model, node.output[0], around(graph, node)
        if found is None or tensor == model.graph.output[0].name:
            return False
        pads, value = found
        readers = consumers(model, tensor)
        for reader in readers[1:]:
            again = graph.before("Pad", list(node.input), mode="constant")
            reroute(reader, tensor, again)
        if len(readers) != 1:
            return bool(readers)
        (reader,) = readers
        elementwise = reader.op_type in (*ELEMENTWISE, *QUANTIZERS) and has_constants_of_channels(model, reader)
        if elementwise and is_uniform(model, [reader]):
            return self._behind(graph, node, reader, value)
        if reader.op_type == "Pad" and (inner := around(graph, reader)) is not None and inner[1] == value:
            sums = [a + b for a, b in zip(pads, inner[0])]
            reader.input[1] = graph.constant(np.array([0, 0, *sums[:2], 0, 0, *sums[2:]], np.int64))
            graph.bypass()
            return True
        if reader.op_type == "MaxPool" and self._into_pool(graph, node, reader, pads, value):
            return True
        if not np.isfinite(value):
            raise NodeRefused(node, f"it pads with {value:g}", "pad a pool in the pool itself, others with a number")
        if reader.op_type == "Conv" and value == 0:
            if _hold_windows(graph, reader, pads):
                return self._windows(graph, node, pads)
            return self._into(graph, reader, pads)
        if reader.op_type in WINDOWS or value != 0:
            return False
        return self._windows(graph, node, pads)

    @staticmethod
    def _behind(graph, node, reader, value) -> bool:
        model, output = graph.model, reader.output[0]
        result = float(evaluate_chain(model, [reader], np.array([value]), 1)[0, 0])
        reroute(reader, node.output[0], node.input[0])
        inner = Editor(model, reader)
        source = inner.behind(output)
        for info in [info for info in model.graph.value_info if info.name == source]:
            model.graph.value_info.remove(info)  # smaller than what it was named after
        inner.after("Pad", [source, node.input[1], graph.constant(np.float32(result))], output, mode="constant")
        graph.remove()
        return True

    @staticmethod
    def _out_of(graph, conv) -> bool:
        """Put zeros that hold whole windows of a convolution into a Pad in front of it."""
        pads = list(attributes_of(conv).get("pads", [0] * 4))
        if len(graph.shape(conv.input[0])) != 4 or not _hold_windows(graph, conv, pads):
            return False
        full = graph.constant(np.array([0, 0, *pads[:2], 0, 0, *pads[2:]], np.int64))
        conv.input[0] = graph.before("Pad", [conv.input[0], full], mode="constant")
        set_attribute(conv, pads=[0] * 4)
        return True

    @staticmethod
    def _into_pool(graph, node, pool, pads, value) -> bool:
        """Let a maximum have the pads, if it is that of the pixels in every window."""
        grid = grid_of(graph.model, node.input[0])
        if value != -np.inf and (grid is None or value >= grid.scale * grid.low):
            return False
        given = attributes_of(pool)
        sums = [a + b for a, b in zip(given.get("pads", [0] * 4), pads)]
        if given.get("auto_pad", b"NOTSET") != b"NOTSET" or given.get("ceil_mode", 0):
            return False
        if any(pad >= taps for pad, taps in zip(sums, list(given["kernel_shape"]) * 2)):
            return False  # a window of pads alone
        set_attribute(pool, pads=sums)
        graph.bypass()
        return True

    @staticmethod
    def _into(graph, conv, pads) -> bool:
        given = attributes_of(conv)
        own = list(given.get("pads", [0] * 4))
        if not any(own) or given.get("auto_pad", b"NOTSET") != b"NOTSET":
            return False  # a Pad alone, which a layer takes with it
        set_attribute(conv, pads=[a + b for a, b in zip(own, pads)])
        graph.bypass()
        return True

    @staticmethod
    def _windows(graph, node, pads) -> bool:
        """Write it as windows of one tap each that is no 0, for a layer pads less than its window on each side."""
        top, left, bottom, right = pads
        channels = graph.shape(node.input[0])[1]
        taps = np.zeros((channels, 1, top + bottom + 1, left + right + 1))
        taps[:, :, bottom, right] = 1
        kernel = zero_padded_weights(graph, taps, np.ones(channels))
        around_all = [top + bottom, left + right] * 2
        grid = grid_of(graph.model, node.input[0])
        output = node.output[0] if grid is None else None
        moved = graph.before(
            "Conv", [node.input[0], kernel], output, kernel_shape=taps.shape[2:], pads=around_all, group=channels
        )
        if grid is not None:
            on_grid(graph, moved, grid, True, node.output[0])
        graph.remove()
        return True


def _hold_windows(graph: Editor, conv: NodeProto, pads: list[int]) -> bool:
    """Return whether some windows of a convolution would lie in the pads alone."""
    given, kernel = attributes_of(conv), graph.shape(conv.input[1])[2:]
    if len(kernel) != 2 or given.get("auto_pad", b"NOTSET") != b"NOTSET":
        return False
    span = reach(kernel, given.get("dilations", [1, 1]))
    return any(pad >= side for pad, side in zip(pads, (*span, *span)))


def around(graph: Editor, node: NodeProto) -> tuple[list[int], float] | None:
    """Return the pads (top, left, bottom, right) and the value of a Pad with a constant around a map, else None."""
    model = graph.model
    pads = model.get_initializer(node.input[1])
    if (
        pads is None
        or len(graph.shape(node.input[0])) != 4
        or attributes_of(node).get("mode", b"constant") != b"constant"
    ):
        return None
    value = model.get_initializer(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
    top, left, bottom, right = (int(pads[index]) for index in (2, 3, 6, 7))
    if value is None or any(pads[[0, 1, 4, 5]]) or min(top, left, bottom, right) < 0:
        return None
    return [top, left, bottom, right], float(np.ravel(value)[0])
