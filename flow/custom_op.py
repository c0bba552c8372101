"""Our nodes as QONNX custom ops, in the domain ``flow.custom_op``: qonnx finds them here by the name of the domain.

Hardware nodes get an adapter each, made from flow.nodes. Beside them there are the nodes where floating point meets the
integer streams while passes are at work (none is left at the end), and the grouped voter of an exported graph.
"""

from __future__ import annotations

import functools

import numpy as np
import onnxruntime as ort
from onnx import GraphProto, NodeProto, helper
from qonnx.core.datatype import DataType
from qonnx.custom_op.base import CustomOp
from qonnx.custom_op.registry import add_domain_alias

from flow import nodes
from flow.nodes.binary_engine import group_votes
from flow.nodes.windows import ordered

DOMAIN = "flow.custom_op"
ROUNDING = 2.0**-20  # of a float32 product of an integer and a scale that is no power of two
FLOAT64_EXACT = 2**53  # float64 holds every integer below this magnitude

add_domain_alias("flow.ops", DOMAIN)  # of exports made before the domain had this name


def narrow(values: np.ndarray) -> np.ndarray:
    """Return float64 values as float32 where that loses nothing."""
    single = values.astype(np.float32)
    return single if np.array_equal(single, values) else values


def op_of(node: NodeProto) -> nodes.HardwareOp:
    """Return the hardware node that ``node`` of a graph describes.

    Raises:
        NodeError: an attribute is missing, or of no such node.
    """
    values = {
        a.name: value.decode() if isinstance(value := helper.get_attribute_value(a), bytes) else value
        for a in node.attribute
    }
    try:
        return nodes.find(node.op_type)(name=node.name, **values)
    except TypeError as error:
        raise nodes.NodeError(f"{node.name} ({node.op_type}): {error}") from error


def written_kind(node: NodeProto) -> str:
    """Return the kind of ``node`` as the user's file has it: of a Function the kinds of the nodes that it was."""
    bodies = [attribute.g for attribute in node.attribute if attribute.name == "body"]
    return " and ".join(inner.op_type for inner in bodies[0].node) if bodies else node.op_type


def set_attributes(node: NodeProto, **values: int | str | tuple[int, ...]) -> None:
    """Set attributes of a hardware node in place."""
    kept = [attribute for attribute in node.attribute if attribute.name not in values]
    del node.attribute[:]
    node.attribute.extend([*kept, *(helper.make_attribute(name, value) for name, value in values.items())])


def node_of(op: nodes.HardwareOp, inputs: list[str], outputs: list[str]) -> NodeProto:
    """Return the graph's node of ``op``."""
    return helper.make_node(op.kind, inputs, outputs, name=op.name, domain=DOMAIN, **op.values())


class _Adapter(CustomOp):
    """A hardware node as qonnx sees it: shapes, types, and execution on integers that are held in floats."""

    kind: type[nodes.HardwareOp]

    @property
    def op(self) -> nodes.HardwareOp:
        return op_of(self.onnx_node)

    def get_nodeattr_types(self):
        codes = {int: ("i", False, 0), str: ("s", False, ""), tuple: ("ints", False, [])}
        return {name: codes[kind] for name, kind in self.kind.attributes().items()}

    def make_shape_compatible_op(self, model):
        stream = self.op.outputs()[0]
        batch = (model.get_tensor_shape(self.onnx_node.input[0]) or [1])[0]
        shape = [batch, stream.height, stream.width, stream.channels]
        return helper.make_node("RandomNormal", [], [self.onnx_node.output[0]], shape=shape)

    def infer_node_datatype(self, model):
        for tensor, stream in zip(self.onnx_node.output, self.op.outputs()):
            model.set_tensor_datatype(tensor, DataType[stream.datatype])

    def execute_node(self, context, graph):
        results = self.op.evaluate(*(context[name].astype(np.int64) for name in self.onnx_node.input))
        for name, result in zip(self.onnx_node.output, results if isinstance(results, tuple) else (results,)):
            if np.abs(result).max(initial=0) >= FLOAT64_EXACT:
                raise OverflowError(
                    f"{self.onnx_node.name}: a value of 2^53 or more fits no float64; run the golden model"
                )
            context[name] = narrow(result.astype(np.float64))

    def verify_node(self):
        return []


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
    """Real values [N, C, H, W] or [N, C] on a grid -> integers [N, H, W, C]: x / scale; with ``flat`` [N, 1, 1, H*W*C].

    Raises ValueError if a value is off the grid: the pass that put the node there was wrong.
    """

    def get_nodeattr_types(self):
        return {"scale": ("f", True, 1.0), "flat": ("i", False, 0)}

    def execute_node(self, context, graph):
        x = context[self.onnx_node.input[0]].astype(np.float64) / self.get_nodeattr("scale")
        integers = np.rint(x)
        if (np.abs(x - integers) > ROUNDING * np.abs(x)).any() or np.abs(x).max(initial=0) >= FLOAT64_EXACT:
            raise ValueError(f"{self.onnx_node.name}: {self.onnx_node.input[0]} is off the grid")
        x = integers
        x = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x[:, None, None, :]
        x = x.reshape(len(x), 1, 1, -1) if self.get_nodeattr("flat") else x
        context[self.onnx_node.output[0]] = narrow(np.ascontiguousarray(x))


class FromStream(_Boundary):
    """Integers [N, H, W, C] -> real values [N, C, H, W] (or [N, C] where ``flat``): x * scale."""

    def get_nodeattr_types(self):
        return {"scale": ("f", True, 1.0), "flat": ("i", False, 0)}

    def execute_node(self, context, graph):
        x = context[self.onnx_node.input[0]].astype(np.float64) * self.get_nodeattr("scale")
        x = x[:, 0, 0, :] if self.get_nodeattr("flat") else x.transpose(0, 3, 1, 2)
        context[self.onnx_node.output[0]] = narrow(np.ascontiguousarray(x))


class Function(CustomOp):
    """A function of one value, elementwise, as a graph ``body`` of ONNX nodes from x to y."""

    def get_nodeattr_types(self):
        return {"opset": ("i", True, 13)}

    def execute_node(self, context, graph):
        body = next(a.g for a in self.onnx_node.attribute if a.name == "body")
        session = _session(body.SerializeToString(deterministic=True), self.get_nodeattr("opset"))
        (result,) = session.run(None, {"x": np.ascontiguousarray(context[self.onnx_node.input[0]], np.float32)})
        context[self.onnx_node.output[0]] = result

    def infer_node_datatype(self, model):
        pass

    def verify_node(self):
        return []

    def make_shape_compatible_op(self, model):
        return helper.make_node("Identity", list(self.onnx_node.input), list(self.onnx_node.output))


@functools.lru_cache(maxsize=256)
def _session(body: bytes, opset: int) -> ort.InferenceSession:
    """Return what executes the body of a Function."""
    graph = GraphProto.FromString(body)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])


class GroupVote(CustomOp):
    """A grouped voter in an exported graph: bits [N, C, H, W] and weights [O, C, K, K] to votes [N, O, OH, OW].

    All are bipolar. It is no hardware node: QONNX has no standard form of such a layer, so an export carries this one
    until it is compiled.
    The bits are padded already. See BinaryEngine for ``group`` and the thresholds, flow.nodes.windows.ordered for
    ``order``.
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
        kernel = weights.shape[2]
        stride, order = self.get_nodeattr("stride"), self.get_nodeattr("order")
        views = np.lib.stride_tricks.sliding_window_view(bits, (kernel, kernel), axis=(2, 3))[:, :, ::stride, ::stride]
        windows = views.transpose(0, 2, 3, 1, 4, 5)  # [N, OH, OW, C, K, K]
        windows, rows = ordered(windows, order), ordered(weights, order)
        sums = group_votes(windows, rows, self.get_nodeattr("group"), self.get_nodeattr("group_threshold"))
        votes = np.where(sums >= self.get_nodeattr("threshold"), 1.0, -1.0).astype(np.float32)
        context[self.onnx_node.output[0]] = np.ascontiguousarray(votes.transpose(0, 3, 1, 2))

    def infer_node_datatype(self, model):
        pass

    def verify_node(self):
        return []

    def make_shape_compatible_op(self, model):
        strides = [self.get_nodeattr("stride")] * 2
        return helper.make_node("Conv", list(self.onnx_node.input), list(self.onnx_node.output), strides=strides)


BOUNDARIES = ("ToStream", "FromStream")


class _CustomOps(dict):
    """The registry that qonnx reads: adapters are made of the nodes that there are now."""

    def items(self):
        adapters = {name: type(name, (_Adapter,), {"kind": kind}) for name, kind in nodes.kinds().items()}
        others = (FromStream, Function, GroupVote, ToStream)
        return {**adapters, **{kind.__name__: kind for kind in others}}.items()


custom_op = _CustomOps()
