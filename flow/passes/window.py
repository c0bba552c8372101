"""Convolutions of a QONNX graph: input, weights, window and padding in one description."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from .grid import Grid, grid_of
from .rewrite import refuse


@dataclass(frozen=True)
class Convolution:
    """A Conv or Gemm with quantized input and weights; ``nodes`` are what it replaces."""

    nodes: list[NodeProto]
    input: str
    grid: Grid
    weights: np.ndarray  # [O, C, K, K], real values
    weight_grid: Grid
    bias: np.ndarray | None
    window: dict[str, int]
    pad_value: float

    @property
    def padding(self) -> int:
        return self.window["padding"]


def weight_rows(weights: np.ndarray) -> np.ndarray:
    """[O, C, K, K] -> [O, K*K*C] in the order of SlidingWindow: taps in raster order, channel fastest."""
    return np.rint(weights.transpose(0, 2, 3, 1).reshape(len(weights), -1)).astype(np.int64)


def convolution_of(model: ModelWrapper, node: NodeProto) -> Convolution | None:
    """``node`` as a Convolution, or None if it is none with quantized input and weights.

    Raises:
        PassError: groups, dilation, or a kernel, stride or padding that is not square.
    """
    if node.op_type not in ("Conv", "Gemm"):
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
        if not _attribute(node, "transB", 0):
            weights = weights.T
        return Convolution([node], node.input[0], grid, weights[:, :, None, None], weight_grid, bias,
                           {"kernel": 1, "stride": 1, "padding": 0}, 0.0)  # fmt: skip
    return _convolution(model, node, grid, weights, weight_grid, bias)


def _convolution(model, node, grid, weights, weight_grid, bias):
    kernels, strides = _attribute(node, "kernel_shape", weights.shape[2:]), _attribute(node, "strides", [1, 1])
    pads, dilations = list(_attribute(node, "pads", [0] * 4)), _attribute(node, "dilations", [1, 1])
    nodes, source, pad_value = [node], node.input[0], 0.0
    producer = model.find_producer(source)
    if producer is not None and producer.op_type == "Pad":
        if any(pads):
            raise refuse(node, "a padded convolution behind an explicit Pad")
        pads, pad_value = _pad(model, producer)
        nodes, source = [producer, node], producer.input[0]
    if _attribute(node, "group", 1) != 1 or any(d != 1 for d in dilations):
        raise refuse(node, "grouped or dilated convolutions are not mapped")
    if len(set(kernels)) != 1 or len(set(strides)) != 1 or len(set(pads)) != 1:
        raise refuse(node, f"kernel {list(kernels)}, strides {list(strides)}, pads {pads}: only square ones are mapped")
    window = {"kernel": int(kernels[0]), "stride": int(strides[0]), "padding": int(pads[0])}
    return Convolution(nodes, source, grid, weights, weight_grid, bias, window, pad_value)


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
