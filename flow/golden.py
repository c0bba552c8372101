"""The golden model: a hardware graph evaluated node by node in numpy integers."""

from __future__ import annotations

from qonnx.core.modelwrapper import ModelWrapper

from flow.graph import hardware_nodes
from flow.nodes.executor import Executor, Step


class Golden(Executor):
    """Executes a hardware graph exactly; every other backend is compared with it."""

    def __init__(self, model: ModelWrapper):
        self.nodes = list(hardware_nodes(model))
        steps = [Step(node.op, node.inputs, node.outputs, node.constants) for node in self.nodes]
        super().__init__(steps, model.graph.input[0].name, model.graph.output[0].name)
