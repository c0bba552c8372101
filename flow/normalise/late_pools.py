"""Max pools behind the quantizer that follows them, where they give the same and are exact."""

from __future__ import annotations

import numpy as np

from flow.graph import consumers
from flow.passes.chain import chain_to_quantizer, evaluate_chain
from flow.passes.grid import grid_of
from flow.passes.steps import is_monotone

from .edit import Normalisation, reroute

FAR = 1e9  # beyond the steps of any quantizer


class LatePools(Normalisation):
    """A MaxPool of real values, with constants and a quantizer behind it, goes behind the quantizer.

    The largest of f(x) is f of the largest x where f rises in every channel. Behind the quantizer the pool compares
    integers, or bits, and no fixed point is needed in front of it.
    """

    kinds = ("MaxPool",)

    def rewrite(self, graph, node):
        model, source, readers = graph.model, node.input[0], consumers(graph.model, node.output[0])
        producer = model.find_producer(source)
        if producer is None or producer.op_type == "Pad" or len(readers) != 1 or grid_of(model, source) is not None:
            return False
        chain = chain_to_quantizer(model, readers[0])
        if chain is None or not is_monotone(model, chain):
            return False
        channels, pooled = graph.shape(source)[1], node.output[0]
        least, most = evaluate_chain(model, chain, np.array([-FAR, FAR]), channels)
        if not (least <= most).all():  # nor where it is not defined
            return False
        rows = graph.shape(pooled)
        reroute(chain[0], pooled, source)
        for link in chain:
            model.set_tensor_shape(link.output[0], graph.shape(source))
        output = chain[-1].output[0]
        chain[-1].output[0] = pooled  # the tensors change names: `pooled` is the map in front of the pool now
        node.input[0], node.output[0] = pooled, output
        model.set_tensor_shape(pooled, graph.shape(source))
        model.set_tensor_shape(output, rows)
        return True
