import numpy as np
import onnxruntime as ort
from onnx import helper, numpy_helper
from qonnx.custom_op.registry import is_custom_op
from qonnx.transformation.base import Transformation


class FoldConstants(Transformation):
    """Standard nodes whose inputs are all constants become constants, in one pass over the sorted graph.

    qonnx's FoldConstants infers all shapes again after every node: five minutes for the pads of a
    full-width ResNet-18. Quantizers stay: they say how their weights are quantized.
    """

    def apply(self, model):
        constants = {t.name: t for t in model.graph.initializer}
        for node in list(model.graph.node):
            if is_custom_op(node.domain) or any(name and name not in constants for name in node.input):
                continue
            used = [constants[name] for name in node.input if name]
            for name, value in zip(node.output, self._run(model, node, used), strict=True):
                constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
                model.graph.initializer.append(constants[name])
            model.graph.node.remove(node)
        return model, False

    @staticmethod
    def _run(model, node, constants):
        outputs = [helper.make_empty_tensor_value_info(name) for name in node.output]
        graph = helper.make_graph([node], "constant", [], outputs, constants)
        proto = helper.make_model(graph, opset_imports=model.model.opset_import, ir_version=model.model.ir_version)
        return ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {})
