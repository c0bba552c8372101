"""Means, sums and maxima over pixels as pools."""

from __future__ import annotations

import math

import numpy as np

from flow.analysis.attributes import attributes_of
from flow.graph import consumers

from .edit import Editor, Normalisation, set_attribute

REDUCTIONS = {"ReduceMean": "AveragePool", "ReduceSum": "AveragePool", "ReduceMax": "MaxPool"}


def reduced_axes(graph: Editor, node, rank: int | None = None) -> list[int] | None:
    """Return the axes, from 0 on and sorted, of a reduction of ``rank`` axes; None where the file has no constant
    ones."""
    axes = attributes_of(node).get("axes")
    if axes is None and len(node.input) > 1:
        axes = graph.model.get_initializer(node.input[1])
    rank = rank or len(graph.shape(node.input[0]))
    return None if axes is None else sorted(int(axis) % rank for axis in np.ravel(axes))


def reduce_over(graph: Editor, node, tensor: str, axes: list[int]) -> None:
    """Make a reduction that of ``tensor`` over ``axes``."""
    node.input[0] = tensor
    if len(node.input) > 1:
        node.input[1] = graph.constant(np.array(axes, np.int64))
    else:
        set_attribute(node, axes=axes)


class ViewedMaps(Normalisation):
    """A reduction of a map that is viewed as rows of pixels, [N, C, H*W], reduces the map itself."""

    kinds = tuple(REDUCTIONS)

    def rewrite(self, graph, node):
        view = graph.model.find_producer(node.input[0])
        if view is None or view.op_type not in ("Reshape", "Flatten") or attributes_of(node).get("keepdims", 1):
            return False
        before, after = graph.shape(view.input[0]), graph.shape(view.output[0])
        if len(before) != 4 or len(after) != 3 or before[:2] != after[:2] or reduced_axes(graph, node) != [2]:
            return False
        reduce_over(graph, node, view.input[0], [2, 3])
        if not consumers(graph.model, view.output[0]):
            graph.model.graph.node.remove(view)
        return True


class GlobalPools(Normalisation):
    """A reduction of a map over rows, columns or both becomes a pool, with a Flatten where both axes are dropped; a sum
    is a multiple of the mean."""

    kinds = (*REDUCTIONS, "GlobalMaxPool")

    def rewrite(self, graph, node):
        keep, shape = attributes_of(node).get("keepdims", 1), graph.shape(node.input[0])
        over = [2, 3] if node.op_type == "GlobalMaxPool" else reduced_axes(graph, node)
        if len(shape) != 4 or over not in ([2], [3], [2, 3]) or (not keep and len(over) == 1):
            return False
        kernel = [side if axis in over else 1 for axis, side in enumerate(shape)][2:]
        scaled = node.op_type == "ReduceSum"
        kind, attributes = REDUCTIONS.get(node.op_type, "MaxPool"), {"kernel_shape": kernel, "strides": kernel}
        if kind == "AveragePool" and len(over) == 2:
            kind, attributes = "GlobalAveragePool", {}
        output = node.output[0] if keep else None
        pooled = graph.before(kind, [node.input[0]], None if scaled else output, **attributes)
        if scaled:
            pooled = graph.before("Mul", [pooled, graph.constant(float(math.prod(kernel)))], output)
        if not keep:
            graph.before("Flatten", [pooled], node.output[0], axis=1)
        graph.remove()
        return True
