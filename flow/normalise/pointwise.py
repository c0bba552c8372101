"""Curves that are written with several nodes, such as ``x * sigmoid(x)``, as one node."""

from __future__ import annotations

import numpy as np

from flow.passes.chain import AROUND, CURVED, STRAIGHT
from flow.pointwise import DOMAIN, pointwise_node

from .edit import Normalisation

POINTWISE = (*STRAIGHT, *CURVED, *AROUND)
BOOLEAN = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal", "Not", "And", "Or")  # no streams of their own


class FusePointwise(Normalisation):
    """A node that reads one tensor over several ways, all of them element by element, becomes one Pointwise node.

    What other nodes read on these ways stays beside it. Constants are one number, or one a channel.
    """

    kinds = POINTWISE

    def rewrite(self, graph, node):
        if node.op_type in BOOLEAN or not self._joins(graph, node):
            return False
        found = self._region(graph, node)
        if found is None:
            return False
        nodes, entering = found
        index = list(graph.model.graph.node).index(node)
        graph.model.graph.node.insert(index, pointwise_node(graph.model, nodes, entering, node.output[0]))
        graph.remove()
        self._remove_dead(graph.model, nodes[:-1])
        return True

    def _region(self, graph, last):
        """Return the nodes, in topological order, between ``last`` and the nearest tensor over which all ways lead, and
        that tensor; None if there is none."""
        order = {name: i for i, node in enumerate(graph.model.graph.node) for name in node.output}
        inside, frontier = [last], set(self._variables(graph, last))
        while len(frontier) > 1 or self._is_boolean(graph, *frontier):
            latest = max(frontier, key=lambda name: order.get(name, -1))
            node = graph.model.find_producer(latest)
            if node is None or not self._is_pointwise(graph, node):
                return None
            inside.append(node)
            frontier = (frontier - {latest}) | set(self._variables(graph, node))
        if not frontier or not all(self._is_pointwise(graph, node) for node in inside):
            return None
        return sorted(inside, key=lambda node: order[node.output[0]]), frontier.pop()

    def _joins(self, graph, node) -> bool:
        """Return whether several ways lead to ``node``, maybe by the conditions that it reads."""
        variables = self._variables(graph, node)
        if len(variables) > 1 or len(node.input) > len(set(node.input)):
            return True
        return any(
            self._is_boolean(graph, name) and self._joins(graph, graph.model.find_producer(name)) for name in variables
        )

    @staticmethod
    def _is_boolean(graph, *tensors) -> bool:
        producers = (graph.model.find_producer(name) for name in tensors)
        return any(producer is not None and producer.op_type in BOOLEAN for producer in producers)

    @staticmethod
    def _variables(graph, node) -> list[str]:
        return [name for name in dict.fromkeys(node.input) if name and graph.model.get_initializer(name) is None]

    @staticmethod
    def _is_pointwise(graph, node) -> bool:
        if node.op_type not in POINTWISE or node.domain not in ("", "ai.onnx", DOMAIN) or len(node.output) > 1:
            return False
        rank = len(graph.shape(node.output[0]) or ())
        values = (graph.model.get_initializer(name) for name in node.input if name)
        return all(value is None or value.size == 1 or _by_channel(value, rank) for value in values)

    @staticmethod
    def _remove_dead(model, nodes) -> None:
        outputs = {info.name for info in model.graph.output}
        for node in reversed(nodes):
            name = node.output[0]
            if name not in outputs and not any(name in other.input for other in model.graph.node):
                model.graph.node.remove(node)


def _by_channel(value: np.ndarray, rank: int) -> bool:
    shape = [1] * (rank - value.ndim) + list(value.shape)
    return rank >= 2 and value.size == shape[1]
