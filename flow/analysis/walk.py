"""Scaled-integer range analysis of a QONNX graph (SIRA, arXiv 2508.21493): one rule a kind of node.

A rule gets the node's inputs as `Scaled` tensors or constants, and returns what its output is, or None where it is no
scaled integer. Nothing is executed but the quantizers of weights.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.general.quant import resolve_rounding_mode

from .attributes import attributes_of
from .constants import Constants
from .pools import common_count, taps_counted
from .scaled import Scaled

LARGEST = 2.0**53  # float64 holds every integer below
Rule = Callable[["Walk", NodeProto], "Scaled | None"]
RULES: dict[str, Rule] = {}


def scaled_tensors(model: ModelWrapper, pixels: tuple[float, float] | None = None) -> dict[str, Scaled]:
    """Return what is known of the tensors of ``model``: name -> Scaled; tensors that are no scaled integers are left
    out.

    ``pixels``: the network's input is uint8, of which 0 and 255 are these values; None: nothing is known of it.
    """
    walk = Walk(model)
    if pixels is not None:
        low, high = pixels
        for info in model.graph.input:
            if model.get_initializer(info.name) is None:
                shape = [1] * len(model.get_tensor_shape(info.name))
                walk.found[info.name] = Scaled(
                    np.full(shape, (high - low) / 255.0), np.full(shape, low), np.zeros(shape), np.full(shape, 255.0)
                )
    for node in model.graph.node:
        rule = RULES.get(node.op_type)
        result = rule(walk, node) if rule else None
        if result is not None and max(np.abs(result.low).max(), np.abs(result.high).max()) < LARGEST:
            walk.found[node.output[0]] = result
    return walk.found


def rule(*kinds: str) -> Callable[[Rule], Rule]:
    """Return a decorator that makes a function the rule of nodes of these kinds."""

    def add(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(kinds, function))
        return function

    return add


class Walk:
    """What is known so far: ``found`` tensors, and the graph's constants."""

    def __init__(self, model: ModelWrapper):
        self.model, self.constants = model, Constants(model)
        self.found: dict[str, Scaled] = {}

    def shape(self, tensor: str) -> list[int]:
        """Return a tensor's shape."""
        return self.model.get_tensor_shape(tensor)

    def constant(self, node: NodeProto, position: int) -> np.ndarray | None:
        """Return the value of an input that is constant, in float64; None if it is missing or depends on the image."""
        if len(node.input) <= position or not node.input[position]:
            return None
        value = self.constants.value(node.input[position])
        return None if value is None else np.asarray(value, np.float64)


@rule("Quant")
def _quant(walk, node):
    scale, zero, bits = (walk.constant(node, position) for position in (1, 2, 3))
    if scale is None or zero is None or bits is None or bits.size != 1 or walk.constant(node, 0) is not None:
        return None
    given, bits, rank = attributes_of(node), int(bits.reshape(())), len(walk.shape(node.input[0]))
    signed, narrow = given.get("signed", 1), given.get("narrow", 0)
    low = -(2.0 ** (bits - 1)) + narrow if signed else 0.0
    high = 2.0 ** (bits - signed) - 1 - (0 if signed else narrow)
    scale, zero = (_aligned(value, rank) for value in (scale, zero))
    if bits == 1 and signed:  # qonnx takes it as -1 and +1
        one = np.ones([1] * rank)
        return Scaled(scale, -scale * zero, -one, one, stride=2)
    result = Scaled(scale, -scale * zero, np.full([1] * rank, low), np.full([1] * rank, high))
    return _narrowed(result, walk.found.get(node.input[0]), attributes_of(node).get("rounding_mode", b"ROUND"))


def _narrowed(result: Scaled, source: Scaled | None, rounding: bytes) -> Scaled:
    """Return what a quantizer gives of ``source``, whose interval may be narrower than its own."""
    if source is None:
        return result
    rounds = resolve_rounding_mode(rounding.decode())
    ends = [rounds(result.integers(source.values(side))) for side in (source.low, source.high)]
    low, high = (np.clip(end, result.low, result.high) for end in (np.minimum(*ends), np.maximum(*ends)))
    return Scaled(result.scale, result.offset, low, high)


@rule("BipolarQuant")
def _bipolar(walk, node):
    scale = walk.constant(node, 1)
    if scale is None or walk.constant(node, 0) is not None:
        return None
    rank = len(walk.shape(node.input[0]))
    one = np.ones([1] * rank)
    return Scaled(_aligned(scale, rank), 0 * one, -one, one, stride=2)


@rule("Add", "Sub", "Mul", "Div")
def _elementwise(walk, node):
    known = [walk.found.get(name) for name in node.input]
    constants = [walk.constant(node, position) for position in (0, 1)]
    if known[0] is not None and known[1] is not None:
        return _sum(known[0], known[1].affine(-1, 0) if node.op_type == "Sub" else known[1], node.op_type)
    first = constants[0] is not None
    x, c = (known[1], constants[0]) if first else (known[0], constants[1])
    if x is None or c is None:
        return None
    c = _aligned(c, len(walk.shape(node.output[0])))
    match node.op_type:
        case "Add":
            return x.affine(1, c)
        case "Sub":
            return x.affine(-1, c) if first else x.affine(1, -c)
        case "Mul":
            return x.affine(c, 0) if c.all() else None
        case "Div" if not first and c.all():
            return x.affine(1 / c, 0)
    return None


def _sum(a: Scaled, b: Scaled, kind: str) -> Scaled | None:
    """Return the sum of two streams whose scales are multiples of one another in every channel."""
    if kind not in ("Add", "Sub"):
        return None
    ratio = b.scale / a.scale
    if np.array_equal(ratio, np.rint(ratio)):
        return _added(a, b, ratio)
    if np.array_equal(1 / ratio, np.rint(1 / ratio)):
        return _added(b, a, 1 / ratio)
    return None


def _added(a: Scaled, b: Scaled, ratio: np.ndarray) -> Scaled:
    """Return a + b in units of a's scale, of which b's is ``ratio`` times as much."""
    ends = ratio * b.low, ratio * b.high
    strides = {a.stride, *(int(abs(r)) * b.stride for r in np.unique(ratio))}
    stride = int(np.gcd.reduce(list(strides)))
    offset = a.offset + b.offset
    return Scaled(a.scale + 0 * offset, offset, a.low + np.minimum(*ends), a.high + np.maximum(*ends), stride)


@rule("Neg")
def _negated(walk, node):
    x = walk.found.get(node.input[0])
    return x and x.affine(-1, 0)


@rule("BatchNormalization")
def _batch_norm(walk, node):
    x = walk.found.get(node.input[0])
    constants = [walk.constant(node, position) for position in (1, 2, 3, 4)]
    if x is None or any(c is None for c in constants):
        return None
    gamma, beta, mean, variance = constants
    gain = gamma / np.sqrt(variance + attributes_of(node).get("epsilon", 1e-5))
    shape = [1, -1, *[1] * (len(walk.shape(node.output[0])) - 2)]
    return x.affine(gain.reshape(shape), (beta - gain * mean).reshape(shape)) if gain.all() else None


@rule("Relu")
def _relu(walk, node):
    return _clipped(walk.found.get(node.input[0]), 0.0, np.inf)


@rule("Clip")
def _clip(walk, node):
    given = attributes_of(node)
    least, most = walk.constant(node, 1), walk.constant(node, 2)
    least = given.get("min", -np.inf) if least is None else float(least)
    most = given.get("max", np.inf) if most is None else float(most)
    return _clipped(walk.found.get(node.input[0]), least, most)


def _clipped(x: Scaled | None, least: float, most: float) -> Scaled | None:
    """Return x clipped, if both ends are on its grid or outside of its interval."""
    if x is None:
        return None
    low, high = x.low, x.high
    for end, beyond in ((least, np.minimum), (most, np.maximum)):
        if np.isinf(end):
            continue
        ends = x.integers(np.full_like(x.scale, end))
        inside = (ends > x.low) & (ends < x.high)
        if (inside & ((ends - x.low) % x.stride != 0)).any():
            return None
        upwards = (x.scale > 0) == (beyond is np.minimum)
        low = np.where(upwards, np.clip(ends, low, high), low)
        high = np.where(~upwards, np.clip(ends, low, high), high)
        reached = x.integers(np.full_like(x.scale, end))
        if ((upwards & (reached > x.high)) | (~upwards & (reached < x.low))).any():
            return None  # all of it is the end itself, which may be off the grid
    return Scaled(x.scale, x.offset, low, high, x.stride)


@rule("Identity", "Dropout")
def _same(walk, node):
    return walk.found.get(node.input[0])


@rule("MaxPool")
def _max_pool(walk, node):
    x = walk.found.get(node.input[0])
    return x if x is None or not x.scale.shape[2:] or x.scale[0, 0].size == 1 else None


@rule("AveragePool", "GlobalAveragePool")
def _average_pool(walk, node):
    x, given = walk.found.get(node.input[0]), attributes_of(node)
    unknown = given.get("ceil_mode", 0) or given.get("auto_pad", b"NOTSET") != b"NOTSET"
    zeros = any(given.get("pads", [0])) and given.get("count_include_pad", 0)
    if x is None or unknown or zeros or x.scale[0, 0].size != 1:
        return None
    n = common_count(taps_counted(node, walk.shape(node.input[0])[2:]))
    return Scaled(x.scale / n, x.offset, n * x.low, n * x.high, x.stride)


@rule("Pad")
def _pad(walk, node):
    x, value = walk.found.get(node.input[0]), walk.constant(node, 2)
    if x is None or attributes_of(node).get("mode", b"constant") != b"constant":
        return None
    pads, rank = walk.constant(node, 1), len(walk.shape(node.input[0]))
    if pads is None or len(pads) != 2 * rank or any(pads[[0, 1, rank, rank + 1]]):
        return None  # of channels
    integer = x.integers(np.full_like(x.scale, 0.0 if value is None else float(value.reshape(-1)[0])))
    if not np.array_equal(integer, np.rint(integer)):
        return None
    low, high = np.minimum(x.low, integer), np.maximum(x.high, integer)
    stride = x.stride if not ((integer - x.low) % x.stride).any() else 1
    return Scaled(x.scale, x.offset, low, high, stride)


@rule("Flatten", "Reshape")
def _reshaped(walk, node):
    x, before, after = walk.found.get(node.input[0]), walk.shape(node.input[0]), walk.shape(node.output[0])
    if x is None or before[0] != after[0]:
        return None
    return _moved(x, before, lambda array: array.reshape([1, *after[1:]]))


@rule("Squeeze", "Unsqueeze")
def _squeezed(walk, node):
    return _reshaped(walk, node)


@rule("Transpose")
def _transposed(walk, node):
    x, before = walk.found.get(node.input[0]), walk.shape(node.input[0])
    order = attributes_of(node).get("perm", list(range(len(before)))[::-1])
    return x and _moved(x, before, lambda array: array.transpose(order)) if order[0] == 0 else None


@rule("Slice")
def _sliced(walk, node):
    x, before = walk.found.get(node.input[0]), walk.shape(node.input[0])
    starts, ends, axes, steps = (walk.constant(node, position) for position in (1, 2, 3, 4))
    if x is None or starts is None or ends is None:
        return None
    axes = range(len(starts)) if axes is None else axes.astype(int)
    steps = np.ones(len(starts)) if steps is None else steps
    cut = [slice(None)] * len(before)
    for axis, start, end, step in zip(axes, starts, ends, steps):
        cut[axis] = slice(int(start), int(max(min(end, 2**31), -(2**31))), int(step))
    return _moved(x, before, lambda array: array[tuple(cut)])


def _moved(x: Scaled, shape: list[int], move) -> Scaled:
    """Return x with its elements moved; numbers that are the same for all stay single ones."""

    def apply(array: np.ndarray) -> np.ndarray:
        moved = move(np.broadcast_to(array, [1, *shape[1:]]))
        if array.size == 1:
            return moved.reshape(-1)[:1].reshape([1] * moved.ndim)
        if moved.ndim == 4 and (moved == moved[:, :, :1, :1]).all():
            return moved[:, :, :1, :1]
        return moved

    return x.reshaped(apply)


@rule("Concat")
def _concat(walk, node):
    parts = [walk.found.get(name) for name in node.input]
    axis = attributes_of(node)["axis"] % len(walk.shape(node.output[0]))
    if None in parts or axis == 0:
        return None
    joined = {}
    for name in ("scale", "offset", "low", "high"):
        arrays = []
        for part, tensor in zip(parts, node.input):
            array = getattr(part, name)
            shape = list(array.shape)
            shape[axis] = walk.shape(tensor)[axis]
            arrays.append(np.broadcast_to(array, shape))
        common = np.broadcast_shapes(*([*a.shape[:axis], 1, *a.shape[axis + 1 :]] for a in arrays))
        arrays = [np.broadcast_to(a, [*common[:axis], a.shape[axis], *common[axis + 1 :]]) for a in arrays]
        joined[name] = np.concatenate(arrays, axis)
    strides = {part.stride for part in parts}
    return Scaled(**joined, stride=strides.pop() if len(strides) == 1 else 1)


@rule("Conv")
def _conv(walk, node):
    x, weights, given = walk.found.get(node.input[0]), walk.constants.weights(node.input[1]), attributes_of(node)
    if x is None or weights is None:
        return None
    values, scale = weights.integers, weights.scale
    groups, outputs = given.get("group", 1), len(values)
    padded = any(given.get("pads", [0])) or given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")
    if padded:
        x = x.centred()  # so that the 0 around the map is an integer
    if x is None or x.scale[0, 0].size != 1:
        return None
    channels = walk.shape(node.input[0])[1]
    owner = np.repeat(np.arange(groups), outputs // groups)  # group of each output
    parts = {}
    for name in ("scale", "offset", "low", "high"):
        full = np.broadcast_to(getattr(x, name).reshape(1, -1), (1, channels)).reshape(groups, -1)
        parts[name] = full[owner]  # [O, C/groups]
    if np.ptp(parts["scale"], axis=1).any() or np.ptp(parts["offset"], axis=1).any():
        return None
    if padded:
        parts["low"], parts["high"] = np.minimum(parts["low"], 0), np.maximum(parts["high"], 0)
    rows = values.reshape(outputs, channels // groups, -1)
    ends = rows * parts["low"][:, :, None], rows * parts["high"][:, :, None]
    low, high = np.minimum(*ends).sum(axis=(1, 2)), np.maximum(*ends).sum(axis=(1, 2))
    step, offset = parts["scale"][:, 0] * scale, parts["offset"][:, 0] * scale * rows.sum(axis=(1, 2))
    bias = walk.constant(node, 2)
    offset = offset if bias is None else offset + bias
    shape = [1, outputs, *[1] * (len(walk.shape(node.output[0])) - 2)]
    stride = x.stride if not padded and weights.odd else 1
    return Scaled(*(array.reshape(shape) for array in (step, offset, low, high)), stride=stride)


@rule("MatMul", "Gemm")
def _dense(walk, node):
    given = attributes_of(node)
    transposed = bool(given.get("transB", 0))
    x, weights = walk.found.get(node.input[0]), walk.constants.weights(node.input[1], dense=True, rows=transposed)
    if x is None or weights is None or len(walk.shape(node.input[0])) != 2 or given.get("transA", 0):
        return None
    if np.ptp(x.scale) or np.ptp(x.offset):
        return None
    rows, inputs = weights.integers, weights.integers.shape[1]
    low, high = (np.broadcast_to(side.reshape(1, -1), (1, inputs)) for side in (x.low, x.high))
    ends = rows * low, rows * high
    alpha, beta = (given.get(name, 1.0) for name in ("alpha", "beta"))
    bias = walk.constant(node, 2)
    step = x.scale.flat[0] * weights.scale * alpha
    offset = x.offset.flat[0] * weights.scale * alpha * rows.sum(axis=1)
    offset = offset if bias is None else offset + beta * bias.reshape(-1)
    if not np.all(step):
        return None
    sides = np.minimum(*ends).sum(axis=1), np.maximum(*ends).sum(axis=1)
    return Scaled(*(array.reshape(1, -1) for array in (step, offset, *sides)), stride=x.stride if weights.odd else 1)


def _aligned(value: np.ndarray, rank: int) -> np.ndarray:
    """Return a constant with ``rank`` axes, as it broadcasts."""
    value = np.asarray(value, np.float64)
    return value.reshape([1] * (rank - value.ndim) + list(value.shape))
