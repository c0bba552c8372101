"""Executing a QONNX graph, float or half-way to integers, on images of any number.

Nodes run one after the other, in float32 as the graph says, but for the layers that could leave the integers that float32 holds
(2^24): sums of products of anything but bits are taken in float64, and stay in it where float32 would round them.
"""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp, is_custom_op

from flow.custom_op import narrow

LAYERS = ("Conv", "Gemm", "MatMul")
SHAPES = ("Pad", "Flatten", "Reshape", "Identity")  # change no value
WIDE = (*SHAPES, "Add", "Sub", "Mul", "Div", "Neg", "BatchNormalization")


class Execution:
    """Runs the nodes of ``model``, on batches of any size; a node's session and constants are made once."""

    def __init__(self, model: ModelWrapper):
        self.model = model
        self._initializers = {tensor.name: tensor for tensor in model.graph.initializer}
        self._constants: dict[str, np.ndarray] = {}
        self._producers = {name: node for node in model.graph.node for name in node.output}
        self._sessions: dict[str, ort.InferenceSession] = {}
        self._evaluators: dict[str, ReferenceEvaluator] = {}

    def run(self, feeds: dict[str, np.ndarray], keep: bool = False) -> dict[str, np.ndarray]:
        """The graph's outputs for its inputs; with ``keep`` every tensor."""
        nodes, outputs = self.model.graph.node, {info.name for info in self.model.graph.output}
        context = dict(feeds)
        last = {name: index for index, node in enumerate(nodes) for name in node.input}
        for index, node in enumerate(nodes):
            self.node(node, context)
            if not keep:
                for name in {name for name in node.input if last[name] == index} - outputs:
                    context.pop(name, None)
        return context if keep else {name: context[name] for name in outputs}

    def node(self, node: NodeProto, context: dict[str, np.ndarray]) -> None:
        """Runs one node: ``context`` has its inputs that are no constants, and gets its outputs."""
        if is_custom_op(node.domain):
            arrays = {name: self.constant(name) for name in node.input if name in self._initializers}
            arrays.update({name: context[name] for name in node.input if name and name not in arrays})
            getCustomOp(node).execute_node(arrays, self.model.graph)
            context.update({name: arrays[name] for name in node.output})
            return
        variables = [name for name in dict.fromkeys(node.input) if name and name not in self._initializers]
        wide = node.op_type in LAYERS and not self._carries_bits(node.input[0])
        wide |= node.op_type in WIDE and any(context[name].dtype == np.float64 for name in variables)
        feeds = {name: _as(context[name], np.float64 if wide else np.float32) for name in variables}
        found = self._in_float64(node, feeds) if wide else self._session(node, variables).run(None, feeds)
        context.update(zip(node.output, (narrow(value) if wide else value for value in found)))

    def constant(self, name: str) -> np.ndarray:
        if name not in self._constants:
            self._constants[name] = numpy_helper.to_array(self._initializers[name])
        return self._constants[name]

    def _carries_bits(self, tensor: str) -> bool:
        """Are its values -1 and +1 times a scale, and maybe padding?"""
        producer = self._producers.get(tensor)
        while producer is not None and producer.op_type in SHAPES:
            producer = self._producers.get(producer.input[0])
        return producer is not None and producer.op_type == "BipolarQuant"

    def _in_float64(self, node: NodeProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """By ONNX' reference implementation: onnxruntime has no convolution in float64."""
        if node.output[0] not in self._evaluators:
            self._evaluators[node.output[0]] = ReferenceEvaluator(node, opsets=self.model.get_opset_imports())
        constants = {name: _as(self.constant(name), np.float64) for name in node.input if name in self._initializers}
        return self._evaluators[node.output[0]].run(None, {**constants, **feeds})

    def _session(self, node: NodeProto, variables: list[str]) -> ort.InferenceSession:
        if node.output[0] not in self._sessions:
            inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in variables]
            outputs = [helper.make_empty_tensor_value_info(name) for name in node.output]
            constants = [self._initializers[name] for name in dict.fromkeys(node.input) if name in self._initializers]
            graph = helper.make_graph([node], "node", inputs, outputs, constants)
            proto = helper.make_model(
                graph, opset_imports=self.model.model.opset_import, ir_version=self.model.model.ir_version
            )
            options = ort.SessionOptions()
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
            self._sessions[node.output[0]] = ort.InferenceSession(
                proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        return self._sessions[node.output[0]]


def _as(value: np.ndarray, kind: type) -> np.ndarray:
    """Real numbers as ``kind``; integers (shapes, pads) as they are."""
    return np.ascontiguousarray(value, kind) if value.dtype.kind == "f" else value


def execute_graph(model: ModelWrapper, images: np.ndarray, batch: int = 32) -> np.ndarray:
    """Logits float [N, classes] of images uint8 [N, H, W, 3] from a graph with real input and output."""
    pixels = images.transpose(0, 3, 1, 2).astype(np.float32)
    execution, outputs = Execution(model), []
    for start in range(0, len(pixels), batch):
        (logits,) = execution.run({model.graph.input[0].name: pixels[start : start + batch]}).values()
        outputs.append(logits)
    return np.concatenate(outputs)
