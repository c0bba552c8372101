"""Gemm as MatMul and constants."""

from __future__ import annotations

import numpy as np

from flow.analysis.attributes import attributes_of

from .edit import NodeRefused, Normalisation


class SplitGemms(Normalisation):
    """Gemm becomes MatMul, Mul by alpha and Add of beta times its bias."""

    kinds = ("Gemm",)

    def rewrite(self, graph, node):
        given, model = attributes_of(node), graph.model
        if given.get("transA", 0):
            raise NodeRefused(node, "its first input is transposed", "export the layer as Linear")
        weights = node.input[1]
        if given.get("transB", 0):
            weights = graph.before("Transpose", [weights], perm=[1, 0])
        alpha, beta = given.get("alpha", 1.0), given.get("beta", 1.0)
        bias = model.get_initializer(node.input[2]) if len(node.input) > 2 and node.input[2] else None
        if bias is None and len(node.input) > 2 and node.input[2]:
            constant = model.find_producer(node.input[2])
            if constant is None or model.get_initializer(constant.input[0]) is None:
                raise NodeRefused(node, "its bias depends on the image", "export the layer as Linear")
        tail = []
        if alpha != 1:
            tail.append(("Mul", graph.constant(alpha)))
        if len(node.input) > 2 and node.input[2] and beta != 0:
            name = node.input[2]
            if bias is not None:
                name = graph.constant(beta * bias.reshape(-1))
            elif beta != 1:
                name = graph.before("Mul", [name, graph.constant(beta)])
            tail.append(("Add", name))
        output = node.output[0]
        tensor = graph.before("MatMul", [node.input[0], weights], None if tail else output)
        for index, (kind, constant) in enumerate(tail):
            tensor = graph.before(kind, [tensor, constant], output if index == len(tail) - 1 else None)
        matmul = next(n for n in model.graph.node if n.op_type == "MatMul" and n.input[1] == weights)
        name = node.name
        graph.remove()
        matmul.name = name
        return True


def as_row(values: np.ndarray) -> np.ndarray:
    """Return constants of a row [C]."""
    return np.asarray(values).reshape(-1)
