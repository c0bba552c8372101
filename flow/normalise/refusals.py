"""Refuses what no form of hardware does, before anything slow, by the names of the user's file."""

from __future__ import annotations

import numpy as np

from .edit import NodeRefused, Normalisation

ELEMENTWISE = ("Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu", "Where")
PRODUCTS = ("Mul", "Div")


class RefuseUnmapped(Normalisation):
    """Constants that vary by position, products of two streams, and bits of several scales are refused by name."""

    kinds = (*ELEMENTWISE, "BipolarQuant")

    def rewrite(self, graph, node):
        model = graph.model
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
