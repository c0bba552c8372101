"""Convolutions of a QONNX graph: input, weights, window and padding in one description."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from flow.ops.window import ORDERS

from .grid import Grid, grid_of
from .rewrite import refuse


@dataclass(frozen=True)
class Convolution:
    """A Conv, Gemm or GroupVote with quantized input and weights; ``nodes`` are what it replaces.

    ``voter``: attributes of a grouped voter, whose output are votes already.
    """

    nodes: list[NodeProto]
    input: str
    grid: Grid
    weights: np.ndarray  # [O, C, K, K], real values
    weight_grid: Grid
    bias: np.ndarray | None
    window: dict[str, int]
    pad_value: float
    voter: dict[str, int | str] = field(default_factory=dict)

    @property
    def padding(self) -> int:
        return self.window["padding"]


def weight_rows(weights: np.ndarray, order: str = "tap") -> np.ndarray:
    """[O, C, K, K] -> [O, K*K*C], elements in the ``order`` of SlidingWindow."""
    axes = (axis - 2 for axis in ORDERS[order])
    return np.rint(weights.transpose(0, *axes).reshape(len(weights), -1)).astype(np.int64)


def convolution_of(model: ModelWrapper, node: NodeProto) -> Convolution | None:
    """``node`` as a Convolution, or None if it is none with quantized input and weights.

    Raises:
        PassError: groups, dilation, or a kernel, stride or padding that is not square.
    """
    if node.op_type not in ("Conv", "Gemm", "GroupVote"):
        return None
    quantizer = model.find_producer(node.input[1])
    if quantizer is None or model.get_initializer(quantizer.input[0]) is None:
        return None
    weights, weight_grid = _constant_output(model, quantizer), grid_of(model, node.input[1])
    grid = grid_of(model, node.input[0])
    if grid is None or weight_grid is None:
        return None
    bias = model.get_initializer(node.input[2]) if len(node.input) > 2 else None
    if node.op_type == "Gemm":
        return _dense(model, node, grid, weights if _attribute(node, "transB", 0) else weights.T, weight_grid, bias)
    return _convolution(model, node, grid, weights, weight_grid, bias)


def _dense(model, node, grid, weights, weight_grid, bias):
    """A dense layer as a convolution over the whole map in front of the Flatten, or over one pixel."""
    nodes, source, shape = [node], node.input[0], [1, 1]
    flatten = model.find_producer(source)
    if flatten is not None and flatten.op_type in ("Flatten", "Reshape") and len(model.get_tensor_shape(flatten.input[0])) == 4:
        nodes, source = [flatten, node], flatten.input[0]
        shape = model.get_tensor_shape(source)[2:]
        if len(model.find_consumers(flatten.output[0])) > 1 or shape[0] != shape[1]:
            raise refuse(node, f"a dense layer over {shape[0]}x{shape[1]} pixels: only square maps with one consumer are mapped")
    weights = weights.reshape(len(weights), -1, *shape)
    return Convolution(nodes, source, grid, weights, weight_grid, bias, {"kernel": shape[0], "stride": 1, "padding": 0}, 0.0)


def _convolution(model, node, grid, weights, weight_grid, bias):
    kernels, strides = _attribute(node, "kernel_shape", weights.shape[2:]), _attribute(node, "strides", [1, 1])
    voter = {}
    if node.op_type == "GroupVote":
        voter = {name: getCustomOp(node).get_nodeattr(name) for name in ("group", "order", "group_threshold", "threshold")}
        strides = [_attribute(node, "stride", 1)] * 2
    pads, dilations = list(_attribute(node, "pads", [0] * 4)), _attribute(node, "dilations", [1, 1])
    nodes, source, pad_value = [node], node.input[0], 0.0
    producer = model.find_producer(source)
    if producer is not None and producer.op_type == "Pad":
        if any(pads):
            raise refuse(node, "a padded convolution behind an explicit Pad")
        pads, pad_value = _pad(model, producer)
        nodes, source = [producer, node], producer.input[0]
    if (node.op_type == "Conv" and _attribute(node, "group", 1) != 1) or any(d != 1 for d in dilations):
        raise refuse(node, "grouped or dilated convolutions are not mapped")
    if len(set(kernels)) != 1 or len(set(strides)) != 1 or len(set(pads)) != 1:
        raise refuse(node, f"kernel {list(kernels)}, strides {list(strides)}, pads {pads}: only square ones are mapped")
    window = {"kernel": int(kernels[0]), "stride": int(strides[0]), "padding": int(pads[0])}
    return Convolution(nodes, source, grid, weights, weight_grid, bias, window, pad_value, voter)


def _pad(model, node):
    pads = model.get_initializer(node.input[1]).astype(int).tolist()
    if any(pads[:2]) or any(pads[4:6]) or _attribute(node, "mode", b"constant") != b"constant":
        raise refuse(node, "only constant padding of height and width is mapped")
    value = model.get_initializer(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
    return pads[2:4] + pads[6:8], float(np.asarray(value).reshape(-1)[0])


def _attribute(node, name, default):
    for attribute in node.attribute:
        if attribute.name == name:
            return {1: attribute.f, 2: attribute.i, 3: attribute.s, 7: list(attribute.ints)}[attribute.type]
    return default


def _constant_output(model, node):
    context = {name: model.get_initializer(name) for name in node.input}
    context[node.output[0]] = context[node.input[0]]
    getCustomOp(node).execute_node(context, model.graph)
    return context[node.output[0]]
