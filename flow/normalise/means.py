"""Means, sums and maxima over pixels as pools."""

from __future__ import annotations

import math

import numpy as np

from flow.analysis.attributes import attributes_of
from flow.graph import consumers

from .edit import Normalisation

POOLS = {"ReduceMean": "AveragePool", "ReduceSum": "AveragePool", "ReduceMax": "MaxPool", "GlobalMaxPool": "MaxPool"}


class GlobalPools(Normalisation):
    """A reduction of a map over rows, columns or both becomes a pool, with a Flatten where both axes are dropped; a sum
    is a multiple of the mean."""

    kinds = tuple(POOLS)

    def rewrite(self, graph, node):
        given, (source, shape) = attributes_of(node), _map_of(graph, node.input[0])
        axes = given.get("axes")
        if axes is None and len(node.input) > 1:
            axes = graph.model.get_initializer(node.input[1])
        if node.op_type == "GlobalMaxPool":
            axes = (2, 3)
        if axes is None or len(shape) != 4:
            return False
        rank, keep = len(graph.shape(node.input[0])), given.get("keepdims", 1)
        over = sorted(int(axis) % rank for axis in np.ravel(axes))
        if rank == 3:  # rows and columns are one axis
            if over != [2] or keep:
                return False
            over = [2, 3]
        if over not in ([2], [3], [2, 3]) or (not keep and len(over) == 1):
            return False
        kernel = [side if axis in over else 1 for axis, side in enumerate(shape)][2:]
        scaled = node.op_type == "ReduceSum"
        kind, attributes = POOLS[node.op_type], {"kernel_shape": kernel, "strides": kernel}
        if kind == "AveragePool" and len(over) == 2:
            kind, attributes = "GlobalAveragePool", {}
        pooled = graph.before(kind, [source], node.output[0] if keep and not scaled else None, **attributes)
        if scaled:
            output = node.output[0] if keep else None
            pooled = graph.before("Mul", [pooled, graph.constant(float(math.prod(kernel)))], output)
        if not keep:
            graph.before("Flatten", [pooled], node.output[0], axis=1)
        graph.remove()
        if source != node.input[0] and not consumers(graph.model, node.input[0]):
            graph.model.graph.node.remove(graph.model.find_producer(node.input[0]))
        return True


def _map_of(graph, tensor: str) -> tuple[str, list[int]]:
    """Return the map [N, C, H, W] that ``tensor`` is, as [N, C, H*W], and its shape; or the tensor itself."""
    shape, producer = graph.shape(tensor), graph.model.find_producer(tensor)
    if len(shape) == 3 and producer is not None and producer.op_type == "Reshape":
        before = graph.shape(producer.input[0])
        if len(before) == 4 and before[:2] == shape[:2]:
            return producer.input[0], before
    return tensor, shape
