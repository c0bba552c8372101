import numpy as np
from onnx import helper
from qonnx.custom_op.base import CustomOp

from .votes import group_votes
from .window import ORDERS


class GroupVote(CustomOp):
    """A grouped voter in an exported graph: bits [N, C, H, W], weights [O, C, K, K], both bipolar, to votes [N, O, OH, OW].

    No hardware node: QONNX has no standard form of such a layer, so an export carries this one until it is compiled.
    The bits are padded already. See votes.activate for ``group`` and the thresholds, Window.windows for ``order``.
    """

    def get_nodeattr_types(self):
        return {
            "stride": ("i", True, 1),
            "group": ("i", True, 3),
            "order": ("s", True, "tap"),
            "group_threshold": ("i", False, 0),
            "threshold": ("i", False, 0),
        }

    def execute_node(self, context, graph):
        bits, weights = (context[name] for name in self.onnx_node.input)
        outputs, _, kernel, _ = weights.shape
        stride, order = self.get_nodeattr("stride"), self.get_nodeattr("order")
        views = np.lib.stride_tricks.sliding_window_view(bits, (kernel, kernel), axis=(2, 3))[:, :, ::stride, ::stride]
        windows = views.transpose(0, 2, 3, 1, 4, 5)  # [N, OH, OW, C, K, K]
        axes = [axis - 3 for axis in ORDERS[order]]
        windows = windows.transpose(0, 1, 2, *(3 + axis for axis in axes)).reshape(*windows.shape[:3], -1)
        rows = weights.transpose(0, *(1 + axis for axis in axes)).reshape(outputs, -1)
        sums = group_votes(windows, rows, self.get_nodeattr("group"), self.get_nodeattr("group_threshold"))
        votes = np.where(sums >= self.get_nodeattr("threshold"), 1.0, -1.0).astype(np.float32)
        context[self.onnx_node.output[0]] = np.ascontiguousarray(votes.transpose(0, 3, 1, 2))

    def infer_node_datatype(self, model):
        pass

    def verify_node(self):
        return []

    def make_shape_compatible_op(self, model):
        return helper.make_node(
            "Conv", list(self.onnx_node.input), list(self.onnx_node.output), strides=[self.get_nodeattr("stride")] * 2
        )
