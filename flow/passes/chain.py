"""Chains of per-channel elementwise nodes, evaluated on every value that can enter them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from flow.execute import Execution
from flow.graph import consumers

from .rewrite import refuse

CURVED = (  # not made of the straight lines that a bend has; a Function is one of several nodes
    *("Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Elu", "Selu", "Celu", "Gelu", "Mish", "Softplus", "Softsign"),
    *("ThresholdedRelu", "Abs", "Erf", "Floor", "Ceil", "Round", "Pow", "Function"),
)
ELEMENTWISE = (
    "Add",
    "Sub",
    "Mul",
    "Div",
    "BatchNormalization",
    "Neg",
    "Identity",
    "PRelu",
    "LeakyRelu",
    "Relu",
    "Clip",
    "Max",
    "Min",
    "MultiThreshold",
    *CURVED,
)
QUANTIZERS = ("Quant", "BipolarQuant")


def chain_to_quantizer(model: ModelWrapper, start: NodeProto) -> list[NodeProto] | None:
    """Return ``start`` and the elementwise nodes after it up to the first quantizer; None if there is no such chain.

    Every tensor inside has one consumer, and every other operand is a constant. A quantizer whose grid has an offset
    is one of the elementwise nodes.
    """
    return next(chains_to_quantizers(model, start), None)


def chains_to_quantizers(model: ModelWrapper, start: NodeProto) -> Iterator[list[NodeProto]]:
    """Yield the chains of `chain_to_quantizer` up to the first quantizer, the second, and so on; the last ends at the
    first that gives bits, the narrowest stream there is."""
    chain = [start]
    while chain[-1].op_type in (*ELEMENTWISE, *QUANTIZERS) and _one_variable(model, chain[-1]):
        node = chain[-1]
        if node.op_type in QUANTIZERS and not _has_offset(model, node):
            yield list(chain)
            if node.op_type == "BipolarQuant":
                return
        following = consumers(model, node.output[0])
        if len(following) != 1:
            return
        chain.append(following[0])


def _has_offset(model: ModelWrapper, node: NodeProto) -> bool:
    zero = model.get_initializer(node.input[2]) if node.op_type == "Quant" else None
    return zero is not None and bool(np.any(zero))


def chain_input(model: ModelWrapper, chain: list[NodeProto]) -> str:
    """Return the tensor that enters the chain."""
    return next(name for name in chain[0].input if name and model.get_initializer(name) is None)


def rising_steps(bits: np.ndarray, node: NodeProto) -> tuple[np.ndarray, np.ndarray]:
    """Return (falling bool [C], count int [C]) of bits [K, C] on values that rise symmetrically about 0.

    ``count`` is the number of values before the step of a channel. A channel whose bits fall with the value rises with
    the opposite value, and its values are counted in that order.

    Raises:
        PassError: a channel does neither.
    """
    steps = np.diff(bits.astype(np.int8), axis=0)
    falling = (steps < 0).any(axis=0)
    if (falling & (steps > 0).any(axis=0)).any():
        raise refuse(node, "it neither rises nor falls with what it compares in every channel")
    return falling, (~np.where(falling, bits[::-1], bits)).sum(axis=0)


def _one_variable(model: ModelWrapper, node: NodeProto) -> bool:
    return sum(bool(name) and model.get_initializer(name) is None for name in node.input) == 1


def evaluate_chain(model: ModelWrapper, chain: list[NodeProto], values: np.ndarray, channels: int) -> np.ndarray:
    """Return the outputs float [K, channels] of the chain, run as the graph runs it.

    ``values``: [K], the same in every channel, or [K, channels].
    """
    columns = values.reshape(len(values), -1).astype(np.float32)
    entering = chain_input(model, chain)
    rank = len(model.get_tensor_shape(entering) or (0, 0, 0, 0))  # constants of a row [C] are those of its last axis
    tensor = np.broadcast_to(columns, (len(values), channels)).reshape(len(values), channels, *[1] * (rank - 2)).copy()
    execution, context = Execution(model), {entering: tensor}
    for node in chain:
        execution.node(node, context)
    return context[chain[-1].output[0]].reshape(len(values), channels)
