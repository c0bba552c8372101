"""Where floating point meets the integer streams while passes are at work; none is left at the end."""

import numpy as np
from onnx import helper
from qonnx.custom_op.base import CustomOp

from .base import FLOAT64_EXACT, narrow


class _Boundary(CustomOp):
    def get_nodeattr_types(self):
        return {"scale": ("f", True, 1.0)}

    def infer_node_datatype(self, model):
        pass

    def verify_node(self):
        return []

    def make_shape_compatible_op(self, model):
        shape = model.get_tensor_shape(self.onnx_node.output[0])
        return helper.make_node("RandomNormal", [], [self.onnx_node.output[0]], shape=shape)


class ToStream(_Boundary):
    """Real values [N, C, H, W] or [N, C] on a grid -> integers [N, H, W, C]: x / scale.

    Raises ValueError if a value is off the grid: the pass that put the node there was wrong.
    """

    def execute_node(self, context, graph):
        x = context[self.onnx_node.input[0]].astype(np.float64) / self.get_nodeattr("scale")
        if not np.array_equal(x, np.rint(x)) or np.abs(x).max(initial=0) >= FLOAT64_EXACT:
            raise ValueError(f"{self.onnx_node.name}: {self.onnx_node.input[0]} is off the grid")
        x = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x[:, None, None, :]
        context[self.onnx_node.output[0]] = narrow(np.ascontiguousarray(x))


class FromStream(_Boundary):
    """Integers [N, H, W, C] -> real values [N, C, H, W] (or [N, C] where ``flat``): x * scale."""

    def get_nodeattr_types(self):
        return {"scale": ("f", True, 1.0), "flat": ("i", False, 0)}

    def execute_node(self, context, graph):
        x = context[self.onnx_node.input[0]].astype(np.float64) * self.get_nodeattr("scale")
        x = x[:, 0, 0, :] if self.get_nodeattr("flat") else x.transpose(0, 3, 1, 2)
        context[self.onnx_node.output[0]] = narrow(np.ascontiguousarray(x))
