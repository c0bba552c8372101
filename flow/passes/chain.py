"""Chains of per-channel elementwise nodes, evaluated on every value that can enter them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from flow.execute import Execution
from flow.graph import consumers
from flow.pointwise import body_of

from .rewrite import refuse

STRAIGHT = ("Add", "Sub", "Mul", "Div", "BatchNormalization", "Neg", "Identity")
STRAIGHT += ("PRelu", "LeakyRelu", "Relu", "Clip", "Max", "Min", "Abs")  # of two lines, or cut off
# not made of straight lines; first those that rise
CURVED = ("Sigmoid", "Tanh", "HardSigmoid", "Elu", "Selu", "Celu", "Softplus", "Softsign", "ThresholdedRelu", "Erf")
CURVED += ("Exp", "Log", "Sqrt", "Floor", "Ceil", "Round")
RISING = CURVED
CURVED += ("HardSwish", "Gelu", "Mish", "Pow", "Reciprocal", "Sin", "Cos", "Pointwise")
ELEMENTWISE = (*STRAIGHT, *CURVED, "MultiThreshold")
# inside a Pointwise only
AROUND = ("Where", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal", "Not", "And", "Or", "Cast", "Sign")
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
    while chain[-1].op_type in (*ELEMENTWISE, *QUANTIZERS) and has_constants_of_channels(model, chain[-1]):
        node = chain[-1]
        if node.op_type in QUANTIZERS and not _has_offset(model, node):
            yield list(chain)
            if node.op_type == "BipolarQuant":
                return
        following = consumers(model, node.output[0])
        if len(following) != 1:
            return
        chain.append(following[0])


def chain_end(model: ModelWrapper, start: NodeProto) -> str:
    """Return in words what keeps the nodes behind ``start`` from reaching a quantizer."""
    node = start
    while True:
        following = consumers(model, node.output[0])
        if not following:
            return "no quantizer is behind it"
        if len(following) > 1:
            names = ", ".join(f"{reader.name} ({reader.op_type})" for reader in following[:3])
            return f"{names} read what leaves it"
        (node,) = following
        if node.op_type not in (*ELEMENTWISE, *QUANTIZERS):
            return f"it runs into {node.name} ({node.op_type})"
        if not _one_variable(model, node):
            return f"{node.name} ({node.op_type}) adds another stream"
        if not has_constants_of_channels(model, node):
            return f"{node.name} ({node.op_type}) has constants of pixels"


def _has_offset(model: ModelWrapper, node: NodeProto) -> bool:
    zero = model.get_initializer(node.input[2]) if node.op_type == "Quant" else None
    return zero is not None and bool(np.any(zero))


def is_uniform(model: ModelWrapper, chain: list[NodeProto]) -> bool:
    """Return whether the chain does the same in all channels, whatever their number."""
    constants = (model.get_initializer(name) for node in chain for name in node.input if name)
    bodies = (tensor.dims for node in chain if node.op_type == "Pointwise" for tensor in body_of(node).initializer)
    return all(value is None or value.size == 1 for value in constants) and all(np.prod(dims) == 1 for dims in bodies)


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


def has_constants_of_channels(model: ModelWrapper, node: NodeProto) -> bool:
    """Return whether one input of an elementwise node varies, and the others are constants of channels, or of all."""
    if not _one_variable(model, node):
        return False
    if node.op_type in ("BatchNormalization", "MultiThreshold", "Pointwise"):  # theirs are of channels
        return True
    varying = next(name for name in node.input if name and model.get_initializer(name) is None)
    rank = len(model.get_tensor_shape(varying) or (0, 0, 0, 0))
    for name in node.input:
        value = model.get_initializer(name) if name else None
        if value is not None and value.size > 1:
            sides = (1,) * (rank - value.ndim) + value.shape
            if sides[1] != value.size:
                return False
    return True


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
