"""Several nodes that compute one value from one other, element by element, as a single node.

``x * sigmoid(x)`` reads x twice; between an integer and a quantizer it is still a function of one value. A Pointwise
node holds such a piece of a graph, and qonnx runs it: the domain is the name of this module.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import onnxruntime as ort
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.base import CustomOp

DOMAIN = "flow.pointwise"


def pointwise_node(model: ModelWrapper, nodes: list[NodeProto], entering: str, leaving: str) -> NodeProto:
    """Return the node that computes the tensor ``leaving`` from ``entering`` as ``nodes``, in topological order, do.

    It has the name of the last of them. A Pointwise among them gives its own piece.
    """
    pieces = [body_of(node) for node in nodes if node.op_type == "Pointwise"]
    inner = [part for node in nodes for part in (body_of(node).node if node.op_type == "Pointwise" else [node])]
    inner = list({node.output[0]: node for node in inner}.values())  # each once, if two pieces have it
    values = {tensor.name: numpy_helper.to_array(tensor) for piece in pieces for tensor in piece.initializer}
    for name in dict.fromkeys(name for node in nodes for name in node.input if name):
        values[name] = model.get_initializer(name)
    body = helper.make_graph(
        inner,
        "body",
        [helper.make_tensor_value_info(entering, TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info(leaving, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in values.items() if value is not None],
    )
    opset = next(entry.version for entry in model.model.opset_import if entry.domain in ("", "ai.onnx"))
    return helper.make_node(
        "Pointwise", [entering], [leaving], name=nodes[-1].name, domain=DOMAIN, body=body, opset=opset
    )


def body_of(node: NodeProto) -> GraphProto:
    """Return the piece of a graph that a Pointwise node holds."""
    return next(attribute.g for attribute in node.attribute if attribute.name == "body")


def written_kind(node: NodeProto) -> str:
    """Return the kind of ``node`` as the user's file has it: of a Pointwise the kinds of the nodes that it was."""
    return " and ".join(inner.op_type for inner in body_of(node).node) if node.domain == DOMAIN else node.op_type


class Pointwise(CustomOp):
    """The node, as qonnx sees it."""

    def get_nodeattr_types(self):
        return {"opset": ("i", True, 0)}

    def make_shape_compatible_op(self, model):
        return helper.make_node("Identity", self.onnx_node.input, self.onnx_node.output)

    def infer_node_datatype(self, model):
        pass

    def verify_node(self):
        return []

    def execute_node(self, context, graph):
        body, (entering,), (leaving,) = body_of(self.onnx_node), self.onnx_node.input, self.onnx_node.output
        session = _session(body.SerializeToString(deterministic=True), self.get_nodeattr("opset"))
        values = np.ascontiguousarray(context[entering], np.float32)
        (context[leaving],) = session.run(None, {body.input[0].name: values})


@lru_cache(maxsize=64)
def _session(body: bytes, opset: int) -> ort.InferenceSession:
    model = helper.make_model(GraphProto.FromString(body), opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
