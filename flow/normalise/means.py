"""Means over pixels as pools."""

from __future__ import annotations

from flow.analysis.attributes import attributes_of

from .edit import Normalisation


class GlobalPools(Normalisation):
    """ReduceMean over rows and columns becomes GlobalAveragePool, and a Flatten where the axes are dropped."""

    kinds = ("ReduceMean",)

    def rewrite(self, graph, node):
        given, shape = attributes_of(node), graph.shape(node.input[0])
        axes = given.get("axes")
        if axes is None and len(node.input) > 1:
            axes = graph.model.get_initializer(node.input[1])
        if axes is None or len(shape) != 4 or sorted(int(axis) % 4 for axis in axes) != [2, 3]:
            return False
        keep = given.get("keepdims", 1)
        pooled = graph.before("GlobalAveragePool", [node.input[0]], node.output[0] if keep else None)
        if not keep:
            graph.before("Flatten", [pooled], node.output[0], axis=1)
        graph.remove()
        return True
