"""Nodes that change nothing when a network is run."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from flow.analysis.attributes import attributes_of
from flow.graph import consumers

from .edit import Normalisation

COMPARED = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual")


class RemoveNoOps(Normalisation):
    """Dropout, Identity and a Cast to float are removed."""

    kinds = ("Dropout", "Identity", "Cast")

    def rewrite(self, graph, node):
        if node.op_type == "Cast" and attributes_of(node)["to"] != TensorProto.FLOAT:
            return False
        if node.op_type == "Cast":
            producer = graph.model.find_producer(node.input[0])
            if producer is not None and producer.op_type in COMPARISONS:
                return False  # of a bool
        graph.bypass()
        return True


class SmallConstants(Normalisation):
    """A constant of an elementwise node that is one number everywhere, or one a channel of a map, is written so."""

    kinds = ("Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu", "Where", "Pow", *COMPARED)

    def rewrite(self, graph, node):
        changed = False
        for position, name in enumerate(node.input):
            value = graph.model.get_initializer(name) if name else None
            if value is None or value.size < 2 or value.dtype.kind != "f":
                continue
            small = value.reshape(-1)[:1].reshape([1] * value.ndim)
            if np.ptp(value) and value.ndim == 4:
                small = value[:, :, :1, :1]
            if small.size < value.size and np.array_equal(np.broadcast_to(small, value.shape), value):
                node.input[position] = graph.constant(small.reshape(()) if small.size == 1 else small)
                changed = True
        return changed


class SqueezedRows(Normalisation):
    """A Squeeze of a map of one pixel is a Flatten."""

    kinds = ("Squeeze",)

    def rewrite(self, graph, node):
        shapes = [graph.shape(name) for name in (node.input[0], node.output[0])]
        if len(shapes[0]) != 4 or shapes[1] != shapes[0][:2]:
            return False
        graph.before("Flatten", [node.input[0]], node.output[0], axis=1)
        graph.remove()
        return True


class SumsOfTwo(Normalisation):
    """A Sum of several tensors is an Add after the other; a difference of two streams adds the opposite of one."""

    kinds = ("Sum", "Sub")

    def rewrite(self, graph, node):
        tensor, *others = node.input
        if node.op_type == "Sub":
            if any(graph.model.get_initializer(name) is not None for name in node.input):
                return False
            others = [graph.before("Mul", [others[0], graph.constant(-1.0)])]
        for index, other in enumerate(others):
            tensor = graph.before("Add", [tensor, other], node.output[0] if index == len(others) - 1 else None)
        if others:
            graph.remove()
        else:
            graph.bypass()
        return True


COMPARISONS = (*COMPARED, "Equal", "Not", "And", "Or")


class RemoveUnsqueezedNorms(Normalisation):
    """BatchNorm1d by Unsqueeze, BatchNormalization, Squeeze is the BatchNormalization of a row."""

    kinds = ("Unsqueeze",)

    def rewrite(self, graph, node):
        chain, tensor = [node], node.output[0]
        while chain[-1].op_type != "Squeeze":
            readers = consumers(graph.model, tensor)
            if len(readers) != 1 or readers[0].op_type not in ("BatchNormalization", "Squeeze"):
                return False
            chain.append(readers[0])
            tensor = chain[-1].output[0]
        if graph.shape(node.input[0]) != graph.shape(tensor):
            return False
        for squeeze in (chain[-1], node):
            type(graph)(graph.model, squeeze).bypass()
        for inner in chain[1:-1]:  # shapes of before
            for info in [i for i in graph.model.graph.value_info if i.name == inner.output[0]]:
                graph.model.graph.value_info.remove(info)
        return True
