"""Convolutions of a QONNX graph: input, weights, window and padding in one description."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp, is_custom_op

from flow.nodes.window import weight_rows
from flow.nodes.windows import reach

from .grid import Grid, grid_of
from .rewrite import refuse

NEAR = 1e-4  # of a step: float32 scales are no better


@dataclass(frozen=True)
class Weights:
    """Quantized weights: ``integers`` [O, C, KH, KW] of ``bits`` bits (bipolar: -1 and +1) times ``scale`` [O]."""

    integers: np.ndarray
    scale: np.ndarray
    bits: int
    bipolar: bool

    def rows(self, order: str = "tap") -> np.ndarray:
        """Return the integers int64 [O, KH*KW*C], elements in the ``order`` of SlidingWindow."""
        return np.rint(weight_rows(self.integers, order)).astype(np.int64)


@dataclass(frozen=True)
class Convolution:
    """A Conv, Gemm, MatMul or GroupVote with quantized input and weights; ``nodes`` are what it replaces.

    ``window``: kernel, stride, padding and dilation of its SlidingWindow. ``voter``: attributes of a grouped voter,
    whose output are votes already. ``divisors``: of the means of a pool, of each row and of each column of outputs,
    where they differ. ``flat``: the map is read as one pixel. ``groups`` of channels have outputs of their
    own, weights [O, C / groups, KH, KW]. ``depthwise``: an output sums over the window of one channel, weights [O, 1,
    KH, KW]; each channel has as many outputs.
    """

    nodes: list[NodeProto]
    input: str
    grid: Grid
    weights: Weights
    bias: np.ndarray | None
    window: dict[str, tuple[int, ...]]
    pad_value: float
    voter: dict[str, int | str] = field(default_factory=dict)
    divisors: tuple[np.ndarray, np.ndarray] | None = None
    flat: bool = False
    groups: int = 1
    depthwise: bool = False

    @property
    def padded(self) -> bool:
        """Whether some taps may lie outside the map."""
        return any(self.window["padding"])

    @property
    def pad(self) -> float:
        """What is around the map, in units of the input's grid: a whole number, unless it is off the grid."""
        units = self.pad_value / self.grid.scale if self.padded else 0.0
        return float(round(units)) if abs(units - round(units)) < NEAR else units

    @property
    def step(self) -> np.ndarray:
        """The real value [O] of one unit of a sum."""
        return self.grid.scale * self.weights.scale

    def window_of(self, order: str = "tap") -> dict[str, int | str | tuple[int, ...]]:
        """Return the attributes of its SlidingWindow: with groups each one's taps follow each other."""
        if self.groups == 1:
            return {**self.window, "order": order}
        return {**self.window, "order": "block", "block": self.weights.integers.shape[1]}


def convolution_of(model: ModelWrapper, node: NodeProto) -> Convolution | None:
    """Return ``node`` as a Convolution, or None if it is none with quantized input and weights.

    Raises:
        PassError: padding that is no constant around the map, factors of a Gemm, or scales that are not of outputs.
    """
    dense = node.op_type in ("Gemm", "MatMul")
    if not (dense or node.op_type in ("Conv", "GroupVote")):
        return None
    if len(model.get_tensor_shape(node.output[0])) != (2 if dense else 4):
        return None
    weights, grid = _weights(model, node), grid_of(model, before_pad(model, node))
    if grid is None or weights is None:
        return None
    bias = constant_value(model, node.input[2]) if len(node.input) > 2 else None
    if dense:
        return _dense(model, node, grid, weights, bias)
    return _convolution(model, node, grid, weights, bias)


def before_pad(model: ModelWrapper, node: NodeProto) -> str:
    """Return the tensor that ``node`` reads, or that a Pad in front of it reads."""
    producer = model.find_producer(node.input[0])
    return producer.input[0] if producer is not None and producer.op_type == "Pad" else node.input[0]


def constant_value(model: ModelWrapper, tensor: str) -> np.ndarray | None:
    """Return the value of a constant or of a quantized constant; None if ``tensor`` depends on the input."""
    value = model.get_initializer(tensor)
    producer = model.find_producer(tensor) if value is None else None
    if producer is None or not is_custom_op(producer.domain) or model.get_initializer(producer.input[0]) is None:
        return value
    context = {name: model.get_initializer(name) for name in producer.input}
    context[producer.output[0]] = context[producer.input[0]]
    getCustomOp(producer).execute_node(context, model.graph)
    return context[producer.output[0]]


def _weights(model: ModelWrapper, node: NodeProto) -> Weights | None:
    """Return the weights of a layer, [O, C, K, K] (dense: [O, C, 1, 1])."""
    tensor, transposed = (
        node.input[1],
        node.op_type == "MatMul" or (node.op_type == "Gemm" and not _attribute(node, "transB", 0)),
    )
    producer = model.find_producer(tensor)
    if producer is not None and producer.op_type == "Transpose" and len(model.get_tensor_shape(tensor)) == 2:
        tensor, transposed = producer.input[0], not transposed
        producer = model.find_producer(tensor)
    values = constant_value(model, tensor) if producer is not None else None
    if values is None or producer.op_type not in ("Quant", "BipolarQuant"):
        return None
    values = values.T if transposed else values
    scale = model.get_initializer(producer.input[1]).astype(np.float64)
    scale = scale.reshape((1,) * (values.ndim - scale.ndim) + scale.shape)
    scale = scale.T if transposed else scale
    if scale.size not in (1, len(scale)):
        raise refuse(
            node,
            f"its weights have scales of shape {list(scale.shape)}",
            "quantize weights with one scale a tensor or an output channel",
        )
    scale = np.broadcast_to(scale.reshape(-1), len(values))
    integers = values.reshape(len(values), values.shape[1], *values.shape[2:] or (1, 1)) / scale[:, None, None, None]
    if producer.op_type == "BipolarQuant" or (np.abs(np.rint(integers)) == 1).all():
        return Weights(np.rint(integers), scale, 1, True)
    if np.any(model.get_initializer(producer.input[2])):
        raise refuse(node, "its weights have a zero point", "quantize weights symmetrically")
    return Weights(integers, scale, int(model.get_initializer(producer.input[3]).max()), False)


def _dense(model, node, grid, weights, bias):
    """Return a dense layer as a convolution over one pixel, which has all elements of the map before a Flatten."""
    if node.op_type == "Gemm" and (
        any(_attribute(node, name, 1.0) != 1.0 for name in ("alpha", "beta")) or _attribute(node, "transA", 0)
    ):
        raise refuse(node, "its alpha, beta or transA is set", "fold alpha and beta into weights and bias")
    nodes, source, integers = [node], node.input[0], weights.integers
    flatten = model.find_producer(source)
    flat = flatten is not None and flatten.op_type in ("Flatten", "Reshape")
    flat = flat and len(model.get_tensor_shape(flatten.input[0])) == 4
    if flat:
        shared = len(model.find_consumers(flatten.output[0])) > 1
        nodes, source = [node] if shared else [flatten, node], flatten.input[0]
        shape = model.get_tensor_shape(source)[1:]
        integers = integers.reshape(len(integers), *shape).transpose(0, 2, 3, 1).reshape(len(integers), -1, 1, 1)
    return Convolution(nodes, source, grid, replace(weights, integers=integers), bias, _window(), 0.0, flat=flat)


def _window(kernel=(1, 1), stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1)) -> dict[str, tuple[int, ...]]:
    given = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    return {name: tuple(map(int, value)) for name, value in given.items()}


def _convolution(model, node, grid, weights, bias):
    kernels, strides = _attribute(node, "kernel_shape", weights.integers.shape[2:]), _attribute(node, "strides", [1, 1])
    voter = {}
    if _attribute(node, "auto_pad", b"NOTSET") not in (b"", b"NOTSET", b"VALID"):
        raise refuse(node, "its auto_pad is set", "write its pads")
    if node.op_type == "GroupVote":
        voter = {
            name: getCustomOp(node).get_nodeattr(name) for name in ("group", "order", "group_threshold", "threshold")
        }
        strides = [_attribute(node, "stride", 1)] * 2
    pads, dilations = list(_attribute(node, "pads", [0] * 4)), _attribute(node, "dilations", [1, 1])
    nodes, source, pad_value = [node], node.input[0], 0.0
    producer = model.find_producer(source)
    if producer is not None and producer.op_type == "Pad":
        if any(pads):
            raise refuse(node, "a padded convolution behind an explicit Pad")
        if len(model.find_consumers(producer.output[0])) > 1:
            raise refuse(node, f"others too read the map that {producer.name} (Pad) padded", "pad in each layer itself")
        pads, pad_value = _pad(model, producer)
        nodes, source = [producer, node], producer.input[0]
    groups = _attribute(node, "group", 1) if node.op_type == "Conv" else 1
    depthwise = groups > 1 and weights.integers.shape[1] == 1
    if any(pad >= side for pad, side in zip(pads, reach(kernels, dilations) * 2)):
        raise refuse(
            node, f"pads {list(pads)} hold whole windows of {list(kernels)}", "pad less than a window on each side"
        )
    window = _window(kernels, strides, pads, dilations)
    kind = {"depthwise": True} if depthwise else {"groups": groups}
    return Convolution(nodes, source, grid, weights, bias, window, pad_value, voter, **kind)


def pool_window(model: ModelWrapper, pool: NodeProto, size: list[int]):
    """Return the nodes that a pool on a map of ``size`` (rows, columns) stands for, its input, its window, and what
    surrounds the map: a Pad in front of it is part of it.

    Raises:
        PassError: both pad, with other values.
    """
    kernel = _attribute(pool, "kernel_shape", size)
    ones = [1] * len(kernel)
    pads = list(_attribute(pool, "pads", [0] * 2 * len(kernel)))
    window = _window(kernel, _attribute(pool, "strides", ones), pads, _attribute(pool, "dilations", ones))
    producer = model.find_producer(pool.input[0])
    if producer is None or producer.op_type != "Pad":
        return [pool], pool.input[0], window, 0.0
    before, value = _pad(model, producer)
    if any(pads) and (value or pool.op_type == "MaxPool"):
        raise refuse(pool, f"it reads a map that {producer.name} (Pad) padded", "pad in the pool itself")
    padding = tuple(a + b for a, b in zip(before, pads))
    return [producer, pool], producer.input[0], {**window, "padding": padding}, value


def _pad(model, node):
    pads = model.get_initializer(node.input[1]).astype(int).tolist()
    if any(pads[:2]) or any(pads[4:6]) or _attribute(node, "mode", b"constant") != b"constant":
        raise refuse(node, "only constant padding of height and width is mapped")
    if pads.count(0) != 8 and min(pads) < 0:
        raise refuse(node, f"its pads {pads} cut off rows or columns", "cut by a Slice")
    value = model.get_initializer(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
    return pads[2:4] + pads[6:8], float(np.asarray(value).reshape(-1)[0])


def _attribute(node, name, default):
    for attribute in node.attribute:
        if attribute.name == name:
            return {1: attribute.f, 2: attribute.i, 3: attribute.s, 7: list(attribute.ints)}[attribute.type]
    return default
