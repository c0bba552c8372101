"""Refuses what no form of hardware does, before anything slow, by the names of the user's file."""

from __future__ import annotations

import numpy as np

from .edit import NodeRefused, Normalisation

ELEMENTWISE = ("Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu", "Where")
PRODUCTS = ("Mul", "Div")
NORMS = (
    *("LayerNormalization", "InstanceNormalization", "GroupNormalization", "LpNormalization", "LRN"),
    *("MeanVarianceNormalization", "RMSNormalization"),
)


class RefuseUnmapped(Normalisation):
    """Constants that vary by position, norms of an image, dense layers on maps, products of two streams, and bits of
    several scales are refused by name."""

    kinds = (*ELEMENTWISE, *NORMS, "BipolarQuant", "MatMul")

    def rewrite(self, graph, node):
        if node.op_type in NORMS:
            reason = "what it multiplies by depends on the image"
            raise NodeRefused(node, reason, "train with BatchNormalization, whose constants are fixed")
        model = graph.model
        if node.op_type == "MatMul":
            rank = len(graph.shape(node.input[0]))
            if rank > 2 and model.get_initializer(node.input[0]) is None:
                reason = f"it multiplies the last of {rank} axes"
                raise NodeRefused(node, reason, "use Conv with a kernel of 1, or Flatten in front of it")
            return False
        values = [model.get_initializer(name) for name in node.input if name]
        if node.op_type == "BipolarQuant":
            if values[0] is None and values[1] is not None and np.ptp(values[1]):
                raise NodeRefused(
                    node, f"it has {values[1].size} scales", "quantize activations with one scale a tensor"
                )
            return False
        rank = len(graph.shape(node.output[0]))
        if rank < 4 and rank != 2:
            return False
        for value in values:
            if value is not None and value.ndim > 2 and np.prod(value.shape[-2:]) > 1 and rank == 4:
                raise NodeRefused(
                    node,
                    f"its constant of shape {list(value.shape)} varies by position",
                    "use one constant a channel, or add it on the host",
                )
        variables = [name for name, value in zip(node.input, values) if value is None]
        if node.op_type in PRODUCTS and len(variables) > 1 and all(model.find_producer(v) for v in variables):
            raise NodeRefused(node, "it multiplies two streams", "use layers with constant weights")
        return False


class RefuseReshapes(Normalisation):
    """Reshapes of a map to other axes than a map or a row has are refused by name, unless the host does them."""

    kinds = ("Reshape",)

    def rewrite(self, graph, node):
        if graph.model.get_initializer(node.input[0]) is not None:
            return False
        before, after = (len(graph.shape(name)) for name in (node.input[0], node.output[0]))
        if after > 4 or (before == 4 and after == 3):
            way = "leave maps as they are, or shuffle whole channels"
            raise NodeRefused(node, f"it makes {after} axes of {before}", way)
        return False
