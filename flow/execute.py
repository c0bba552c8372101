"""Executes a QONNX graph, float or half-way to integers, on any number of images.

Nodes run one after the other in float32, as the graph says, but for layers whose sums may pass the integers that
float32 holds (2^24): sums of products of anything but bits are taken in float64, and stay in it where float32 would
round them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import onnxruntime as ort
from onnx import NodeProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp, is_custom_op

from flow.custom_op import narrow, op_of
from flow.errors import FlowError
from flow.graph import is_hardware
from flow.nodes.windows import as_map

LAYERS = ("Conv", "Gemm", "MatMul")
SHAPES = ("Pad", "Flatten", "Reshape", "Identity")  # change no value
WIDE = (*SHAPES, "Add", "Sub", "Mul", "Div", "Neg", "BatchNormalization")


class Execution:
    """Runs the nodes of ``model``, on batches of any size; a node's session and constants are made once.

    ``known``, a dict that several executions share, stores results of nodes: a node with the same attributes and the
    same input values gives the same again. Between the passes of a compilation most nodes do.
    """

    def __init__(self, model: ModelWrapper, known: dict | None = None):
        self.model, self._known = model, known
        self._initializers = {tensor.name: tensor for tensor in model.graph.initializer}
        self._constants: dict[str, np.ndarray] = {}
        self._producers = {name: node for node in model.graph.node for name in node.output}
        self._functions: dict[str, Callable] = {}
        self._fixed: dict[str, tuple[np.ndarray, ...]] = {}  # results of nodes that read constants: quantized weights
        self._digests: dict[int, tuple[np.ndarray, bytes]] = {}

    def images(self, images: np.ndarray, batch: int = 32) -> np.ndarray:
        """Return logits float [N, classes] of images uint8 [N, H, W, C] from a graph with real input and output.

        Those of maps are in the order of a stream: row, column, class.
        """
        pixels, name, outputs = images.transpose(0, 3, 1, 2).astype(np.float32), self.model.graph.input[0].name, []
        for start in range(0, len(pixels), batch):
            (logits,) = self.run({name: pixels[start : start + batch]}).values()
            outputs.append(logits.transpose(0, 2, 3, 1).reshape(len(logits), -1) if logits.ndim == 4 else logits)
        found = np.concatenate(outputs)
        if not np.isfinite(found).all():
            wrong = int((~np.isfinite(found.reshape(len(found), -1))).any(axis=1).sum())
            raise FlowError(
                f"the network's outputs are NaN or infinite on {wrong} of {len(found)} images: mend it first"
            )
        return found

    def run(self, feeds: dict[str, np.ndarray], keep: bool = False) -> dict[str, np.ndarray]:
        """Return the graph's outputs for its inputs; with ``keep`` every tensor."""
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
        """Run one node: read its variable inputs from ``context``, and put its outputs there."""
        if all(not name or name in self._initializers for name in node.input):
            if node.output[0] not in self._fixed:
                self._fixed[node.output[0]] = self._results(node, context)
            context.update(zip(node.output, self._fixed[node.output[0]]))
            return
        key = self._key(node, context) if self._known is not None else None
        if key is None or key not in self._known:
            results = self._results(node, context)
            if key is not None:
                self._known[key] = results
        else:
            results = self._known[key]
        context.update(zip(node.output, results))

    def constant(self, name: str) -> np.ndarray:
        """Return the initializer ``name``."""
        if name not in self._constants:
            self._constants[name] = numpy_helper.to_array(self._initializers[name])
        return self._constants[name]

    def _results(self, node: NodeProto, context: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
        if is_hardware(node):
            if node.name not in self._functions:
                constants = [self.constant(name).astype(np.int64) for name in node.input if name in self._initializers]
                self._functions[node.name] = op_of(node).quick(*constants)
            streams = [as_integers(context[name]) for name in node.input if name not in self._initializers]
            results = self._functions[node.name](*streams)
            return tuple(as_map(result) for result in (results if isinstance(results, tuple) else (results,)))
        if is_custom_op(node.domain):
            arrays = {name: self.constant(name) for name in node.input if name in self._initializers}
            arrays.update({name: context[name] for name in node.input if name and name not in arrays})
            getCustomOp(node).execute_node(arrays, self.model.graph)
            return tuple(arrays[name] for name in node.output)
        variables = [name for name in dict.fromkeys(node.input) if name and name not in self._initializers]
        wide = node.op_type in LAYERS and not self._carries_bits(node.input[0])
        wide &= all(context[name].dtype.kind == "f" for name in variables)  # else onnxruntime says what is wrong
        wide |= node.op_type in WIDE and any(context[name].dtype == np.float64 for name in variables)
        feeds = {name: _as(context[name], np.float64 if wide else np.float32) for name in variables}
        if not wide:
            return tuple(self._session(node, feeds).run(None, feeds))
        return tuple(narrow(value) for value in self._in_float64(node, feeds))

    def _key(self, node: NodeProto, context: dict[str, np.ndarray]) -> tuple:
        inputs = tuple(
            b"" if not name else self._digest(self.constant(name) if name in self._initializers else context[name])
            for name in node.input
        )
        attributes = tuple(sorted(attribute.SerializeToString(deterministic=True) for attribute in node.attribute))
        wide = node.op_type in LAYERS and not self._carries_bits(node.input[0])
        return node.domain, node.op_type, attributes, inputs, wide

    def _digest(self, array: np.ndarray) -> bytes:
        """Return a digest of an array's values, which is computed once for each array."""
        found = self._digests.get(id(array))
        if found is None or found[0] is not array:
            header = f"{array.dtype.str}{array.shape}".encode()
            value = hashlib.blake2b(np.ascontiguousarray(array).view(np.uint8).data, key=header[:64]).digest()
            found = self._digests[id(array)] = (array, value)
        return found[1]

    def _carries_bits(self, tensor: str) -> bool:
        """Return whether its values are -1 and +1 times a scale, and perhaps padding."""
        producer = self._producers.get(tensor)
        while producer is not None and producer.op_type in SHAPES:
            producer = self._producers.get(producer.input[0])
        return producer is not None and producer.op_type == "BipolarQuant"

    def _in_float64(self, node: NodeProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Run a node in float64, which onnxruntime cannot: convolutions by im2col here, others by ONNX' reference
        (whose convolutions pad otherwise with SAME)."""
        constants = {name: _as(self.constant(name), np.float64) for name in node.input if name in self._initializers}
        if node.op_type == "Conv":
            return [convolution({**constants, **feeds}, node)]
        if node.op_type == "Pad" and node.input[1] in constants:
            pads, x = constants[node.input[1]].astype(int), {**constants, **feeds}[node.input[0]]
            if len(pads) == 2 * x.ndim and pads.min() < 0:  # which the reference does not take
                ends = [(-min(a, 0), size + min(b, 0)) for a, b, size in zip(pads, pads[x.ndim :], x.shape)]
                feeds = {**feeds, node.input[0]: x[tuple(slice(*end) for end in ends)]}
                constants[node.input[1]] = np.maximum(pads, 0)
        key = f"{node.output[0]} in float64"  # what it reads may need float64 for one image and not for another
        if key not in self._functions:
            self._functions[key] = ReferenceEvaluator(node, opsets=self.model.get_opset_imports())
        return self._functions[key].run(None, {**constants, **feeds})

    def _session(self, node: NodeProto, feeds: dict[str, np.ndarray]) -> ort.InferenceSession:
        if node.output[0] not in self._functions:
            inputs = [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), None)
                for name, value in feeds.items()
            ]
            outputs = [helper.make_empty_tensor_value_info(name) for name in node.output]
            constants = [self._initializers[name] for name in dict.fromkeys(node.input) if name in self._initializers]
            graph = helper.make_graph([node], "node", inputs, outputs, constants)
            proto = helper.make_model(
                graph, opset_imports=self.model.model.opset_import, ir_version=self.model.model.ir_version
            )
            options = ort.SessionOptions()
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
            self._functions[node.output[0]] = ort.InferenceSession(
                proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        return self._functions[node.output[0]]


def convolution(values: dict[str, np.ndarray], node: NodeProto) -> np.ndarray:
    """Return a convolution of any number of dimensions in float64."""
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    x, weights, *bias = (values[name] for name in node.input if name)
    axes, groups = range(x.ndim - 2), given.get("group", 1)
    strides, dilations = (given.get(name, [1] * len(axes)) for name in ("strides", "dilations"))
    reach = [(taps - 1) * step + 1 for taps, step in zip(weights.shape[2:], dilations)]
    pads = given.get("pads", [0] * 2 * len(axes))
    if given.get("auto_pad", b"NOTSET").startswith(b"SAME"):
        sizes = x.shape[2:]
        total = [max((-(-sizes[i] // strides[i]) - 1) * strides[i] + reach[i] - sizes[i], 0) for i in axes]
        halves = [t // 2 for t in total], [t - t // 2 for t in total]
        pads = [*halves[0], *halves[1]] if given["auto_pad"] == b"SAME_UPPER" else [*halves[1], *halves[0]]
    padded = np.pad(x, ((0, 0), (0, 0), *((pads[i], pads[i + len(axes)]) for i in axes)))
    views = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=tuple(i + 2 for i in axes))
    steps = [*(slice(None, None, s) for s in strides), *(slice(None, None, d) for d in dilations)]
    windows = np.moveaxis(views[(..., *steps)], 1, 1 + len(axes))  # [N, *places, C, *taps]
    places = windows.shape[: 1 + len(axes)]
    inputs, outputs = x.shape[1] // groups, len(weights) // groups
    parts = []
    for g in range(groups):
        part = windows[(*[slice(None)] * len(places), slice(g * inputs, (g + 1) * inputs))]
        rows = weights[g * outputs : (g + 1) * outputs].reshape(outputs, -1)
        parts.append(part.reshape(-1, rows.shape[1]) @ rows.T)
    result = np.concatenate(parts, axis=1)
    if bias:
        result = result + bias[0]
    return np.ascontiguousarray(np.moveaxis(result.reshape(*places, -1), -1, 1))


def as_integers(values: np.ndarray) -> np.ndarray:
    """Return integers that are stored as floats as integers."""
    return values.astype(np.int64) if values.dtype.kind == "f" else values


def _as(value: np.ndarray, kind: type) -> np.ndarray:
    """Return real numbers as ``kind``, and integers (shapes, pads) as they are."""
    return np.ascontiguousarray(value, kind) if value.dtype.kind == "f" else value


def execute_graph(model: ModelWrapper, images: np.ndarray, batch: int = 32) -> np.ndarray:
    """Return logits float [N, classes] of images uint8 [N, H, W, C] from a graph with real input and output."""
    return Execution(model).images(images, batch)
