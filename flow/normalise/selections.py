"""Nodes that only move elements of a map or a row, as layers whose weights are 0 and 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from flow.analysis.attributes import attributes_of
from flow.execute import Execution
from flow.graph import consumers
from flow.passes.grid import Grid, grid_of

from .edit import QUANT_DOMAIN, Editor, Normalisation, reroute
from .windows import zero_padded_weights

MOVES = ("Slice", "Split", "Gather", "Pad", "SpaceToDepth", "Reshape", "Transpose")
LARGEST = 1 << 24  # elements of a map whose numbers float32 holds


@dataclass(frozen=True)
class Selection:
    """Output o [y, x] is channel ``channels[o]`` of the map at ``strides * (y, x) + (rows[o], columns[o])``, or 0 where
    the channel is -1. ``taps``: the window that holds all places and gives as many outputs as there are."""

    channels: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    strides: tuple[int, int]
    taps: tuple[int, int]

    @property
    def by_channel(self) -> bool:
        """Whether every output takes the channel of its own number."""
        return np.array_equal(self.channels, np.arange(len(self.channels)))

    def weights(self, inputs: int) -> np.ndarray:
        """Return the weights [O, C, KH, KW] of 0 and 1; with one channel a group [O, 1, KH, KW]."""
        own = self.by_channel and len(self.channels) == inputs
        found = np.zeros((len(self.channels), 1 if own else inputs, *self.taps))
        (some,) = np.nonzero(self.channels >= 0)
        found[some, 0 if own else self.channels[some], self.rows[some], self.columns[some]] = 1
        return found


class Selections(Normalisation):
    """Slices, splits, gathered, padded and shuffled channels, and blocks that become channels, one node or several, are
    a convolution by weights of 0 and 1.

    What they do is found by moving the numbers of the elements. What repeats or mixes pixels otherwise stays, and so
    do a Slice of every r-th channel and a Concat of a map with itself, which are nodes of their own.
    """

    kinds = (*MOVES, "Concat")

    def rewrite(self, graph, node):
        found = False
        for output in list(node.output):
            found |= self._output(graph, node, output)
        return found

    def _output(self, graph: Editor, node: NodeProto, output: str) -> bool:
        model = graph.model
        nodes, source = moved_from(model, output)
        readers = consumers(model, output)
        rank = len(graph.shape(output))
        if not nodes or not readers or rank not in (2, 4) or rank != len(graph.shape(source)):
            return False
        if all(self._goes_on(model, reader, rank) for reader in readers) or (rank == 4 and _has_own_node(model, nodes)):
            return False
        selection = selection_of(graph, nodes, source, output)
        if selection is None:
            return False
        if selection.by_channel and graph.shape(source) == graph.shape(output):  # all of it
            for reader in readers:
                reroute(reader, output, source)
        else:
            self._write(graph, selection, source, output)
        node.output[list(node.output).index(output)] = model.make_new_valueinfo_name()
        for dead in reversed(nodes):
            if not any(consumers(model, name) for name in dead.output):
                model.graph.node.remove(dead)
        return True

    @staticmethod
    def _goes_on(model, reader, rank: int) -> bool:
        """Return whether what a reader gives is moved elements of the same map, and a map or on its way to one; or of
        the same row, and a row."""
        nodes, _ = moved_from(model, reader.output[0])
        given = len(model.get_tensor_shape(reader.output[0]))
        return len(nodes) > 1 and (given >= 4 if rank == 4 else given == 2)

    @staticmethod
    def _write(graph, selection, source, output) -> None:
        inputs = graph.shape(source)[1]
        weights = selection.weights(inputs)
        grid, window = grid_of(graph.model, source), {}
        if len(graph.shape(source)) == 2:
            weights = weights[:, :, 0, 0].T
        else:
            group = inputs if weights.shape[1] != inputs else 1
            window = {"kernel_shape": list(selection.taps), "strides": list(selection.strides), "pads": [0] * 4}
            window["group"] = group
        kernel = zero_padded_weights(graph, weights, np.ones(1))
        kind = "Conv" if window else "MatMul"
        moved = graph.before(kind, [source, kernel], output if grid is None else None, **window)
        if grid is not None:
            on_grid(graph, moved, grid, bool((selection.channels < 0).any()), output)


def on_grid(graph: Editor, tensor: str, grid: Grid, zeros: bool, output: str) -> None:
    """Insert the quantizer of ``grid``, which changes nothing, behind ``tensor``; bits with ``zeros`` among them need
    two bits."""
    if grid.bipolar and not zeros:
        graph.before("BipolarQuant", [tensor, graph.constant(np.float32(grid.scale))], output, domain=QUANT_DOMAIN)
    elif grid.bipolar:
        graph.quant(tensor, grid.scale, 2, narrow=1, output=output)
    else:
        signed = int(grid.low < 0)
        bits = grid.bits - 1 + signed
        narrow = int(grid.low > -(1 << bits - 1) if signed else grid.high < (1 << bits) - 1)
        graph.quant(tensor, grid.scale, bits, signed=signed, narrow=narrow, output=output)


def selection_of(graph: Editor, chain: list[NodeProto], source: str, output: str) -> Selection | None:
    """Return what a chain of nodes selects of a map, found by moving the numbers of its elements; None where it is no
    such thing."""
    shape, size = graph.shape(source), graph.shape(output)
    if shape[0] != 1 or size[0] != 1 or np.prod(shape) >= LARGEST or np.prod(size) >= LARGEST:
        return None
    numbers = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)
    context, execution = {source: numbers}, Execution(graph.model)
    for node in chain:
        if any(name and graph.model.get_initializer(name) is None and name not in context for name in node.input):
            return None
        execution.node(node, context)
    shape, size = (given if len(given) == 4 else [*given, 1, 1] for given in (shape, size))
    moved = np.rint(context[output]).astype(np.int64).reshape(size)[0] - 1  # [O, H', W'], -1: a zero
    channel, row, column = np.unravel_index(np.maximum(moved, 0), shape[1:])
    channel = np.where(moved < 0, -1, channel)
    if (channel != channel[:, :1, :1]).any():
        return None
    some = channel[:, 0, 0] >= 0
    if not some.any():
        return None
    first = np.argmax(some)
    strides = [
        int(places[1] - places[0]) if len(places) > 1 else 1 for places in (row[first, :, 0], column[first, 0, :])
    ]
    if min(strides) < 1:
        return None
    rows, columns = row[:, 0, 0], column[:, 0, 0]
    expected = (
        rows[:, None, None] + strides[0] * np.arange(size[2])[None, :, None],
        columns[:, None, None] + strides[1] * np.arange(size[3])[None, None, :],
    )
    if any((found != wanted)[some].any() for found, wanted in zip((row, column), expected)):
        return None
    taps = []
    for axis, places in enumerate((rows, columns)):
        least = int(places[some].max()) + 1
        rest = shape[2 + axis] - strides[axis] * (size[2 + axis] - 1)  # a window of so many taps gives the outputs
        taps.append(max(least, rest - strides[axis] + 1))
    rows, columns = (np.where(some, places, 0) for places in (rows, columns))
    return Selection(channel[:, 0, 0], rows, columns, tuple(strides), tuple(taps))


def moved_from(model: ModelWrapper, tensor: str) -> tuple[list[NodeProto], str]:
    """Return the nodes on the way to ``tensor`` that only move elements, in order, and the tensor they come from."""
    node = model.find_producer(tensor)
    if node is None or node.domain or not _moves(model, node):
        return [], tensor
    if node.op_type != "Concat":
        nodes, source = moved_from(model, node.input[0])
        return [*nodes, node], source
    parts = [moved_from(model, name) for name in node.input]
    if len({source for _, source in parts}) > 1:
        return [], tensor
    nodes = [part for some, _ in parts for part in some]
    return [*(part for index, part in enumerate(nodes) if part not in nodes[:index]), node], parts[0][1]


def _moves(model: ModelWrapper, node: NodeProto) -> bool:
    if node.op_type not in Selections.kinds or any(model.get_initializer(name) is not None for name in node.input[:1]):
        return False
    if node.op_type != "Pad":
        return True
    pads, value = (model.get_initializer(name) if name else None for name in (*node.input[1:3], "")[:2])
    zeros = attributes_of(node).get("mode", b"constant") == b"constant" and (value is None or not value.any())
    return zeros and pads is not None and pads.size == 8 and max(pads[[2, 3, 6, 7]]) <= 0


def _has_own_node(model: ModelWrapper, nodes: list[NodeProto]) -> bool:
    """Return whether a hardware node does what ``nodes`` do: a Slice of every r-th channel from the first on, or a
    Concat of a map with itself."""
    if [node.op_type for node in nodes] == ["Concat"]:
        return attributes_of(nodes[0])["axis"] % 4 == 1
    if [node.op_type for node in nodes] != ["Slice"] or len(nodes[0].input) < 5:
        return False
    starts, _, axes, steps = (model.get_initializer(name) for name in nodes[0].input[1:5])
    given = [np.ravel([] if value is None else value).tolist() for value in (starts, axes, steps)]
    channels, outputs = (model.get_tensor_shape(name)[1] for name in (nodes[0].input[0], nodes[0].output[0]))
    return given[:2] == [[0], [1]] and given[2][0] > 1 and outputs * given[2][0] == channels
