"""Constants of a graph, and weights as integers times a scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

QUANTIZERS = ("Quant", "BipolarQuant")


@dataclass(frozen=True)
class Weights:
    """Weights ``scale[o] * integers[o, ...]``; ``odd``: all integers are odd, as -1 and +1 are."""

    integers: np.ndarray
    scale: np.ndarray

    @property
    def odd(self) -> bool:
        return bool((self.integers % 2 == 1).all())


class Constants:
    """The values that do not depend on the image: initializers, and what quantizers and transposes make of them."""

    def __init__(self, model: ModelWrapper):
        self.model = model
        self._initializers = {tensor.name for tensor in model.graph.initializer}
        self._producers = {name: node for node in model.graph.node for name in node.output}
        self._values: dict[str, np.ndarray | None] = {}

    def value(self, tensor: str) -> np.ndarray | None:
        """Return the value of ``tensor``, or None."""
        if tensor not in self._values:
            self._values[tensor] = self._find(tensor)
        return self._values[tensor]

    def _find(self, tensor: str) -> np.ndarray | None:
        if tensor in self._initializers:
            return self.model.get_initializer(tensor)
        node = self._producers.get(tensor)
        if node is None or node.op_type not in (*QUANTIZERS, "Transpose"):
            return None
        inputs = {name: self.value(name) for name in node.input}
        if any(value is None for value in inputs.values()):
            return None
        if node.op_type == "Transpose":
            (value,) = inputs.values()
            return value.transpose(next((a.ints for a in node.attribute if a.name == "perm"), None))
        inputs[node.output[0]] = inputs[node.input[0]]
        getCustomOp(node).execute_node(inputs, self.model.graph)
        return inputs[node.output[0]]

    def weights(self, tensor: str, dense: bool = False, rows: bool = True) -> Weights | None:
        """Return quantized weights, [O, ...]; None where they are no quantized constants with one scale an output.

        ``dense``: a matrix, whose outputs are its ``rows`` or else its columns.
        """
        value, node = self.value(tensor), self._producers.get(tensor)
        turned = dense and not rows
        while node is not None and node.op_type == "Transpose" and dense:
            node, turned = self._producers.get(node.input[0]), not turned
        if value is None or node is None or node.op_type not in QUANTIZERS:
            return None
        scale = np.asarray(self.value(node.input[1]), np.float64)
        scale = np.broadcast_to(scale, self.model.get_tensor_shape(node.input[0]) if scale.ndim > 1 else scale.shape)
        scale = scale.T if turned and scale.ndim == 2 else scale
        value = value.T if dense and not rows else value
        outputs = len(value)
        flat = scale.reshape(outputs, -1) if scale.size >= outputs and scale.ndim > 1 else scale.reshape(-1)
        if flat.ndim == 2:
            if np.ptp(flat, axis=1).any():
                return None
            flat = flat[:, 0]
        if flat.size not in (1, outputs):
            return None
        flat = np.broadcast_to(flat, outputs)
        integers = np.asarray(value, np.float64) / flat.reshape(-1, *[1] * (value.ndim - 1))
        rounded = np.rint(integers)
        return Weights(rounded, flat) if np.allclose(integers, rounded, atol=1e-3, rtol=1e-6) else None
