"""Convolutions and pools of any window as square convolutions of one group, by weights of 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow.analysis.attributes import attributes_of
from flow.analysis.constants import Constants

from .edit import QUANT_DOMAIN, NodeRefused, Normalisation, set_attribute

LARGEST_KERNEL = 32


@dataclass(frozen=True)
class Square:
    """A square window: ``kernel``, ``stride`` and ``padding`` on all sides; the old window begins at row ``top`` and
    column ``left`` of it."""

    kernel: int
    stride: int
    padding: int
    top: int
    left: int


def square_window(size, kernel, strides, pads) -> Square | None:
    """Return the smallest square window that has the same outputs, or None.

    ``size``, ``kernel`` and ``strides`` are (rows, columns), ``pads`` (top, left, bottom, right).
    """
    outputs = [(size[i] + pads[i] + pads[i + 2] - kernel[i]) // strides[i] + 1 for i in (0, 1)]
    steps = {strides[i] for i in (0, 1) if outputs[i] > 1} or {strides[0]}
    if len(steps) != 1 or min(outputs) < 1:
        return None
    (stride,) = steps
    least = max(pads[0], pads[1])
    for square in range(max(kernel), LARGEST_KERNEL + max(kernel)):
        for padding in range(least, square):
            top, left = padding - pads[0], padding - pads[1]
            inside = square >= max(top + kernel[0], left + kernel[1]) and min(size) + 2 * padding >= square
            if inside and all((size[i] + 2 * padding - square) // stride + 1 == outputs[i] for i in (0, 1)):
                return Square(square, stride, padding, top, left)
    return None


def explicit_pads(node, size, kernel, strides) -> list[int]:
    """Return the pads of a Conv or pool (top, left, bottom, right), those of auto_pad made numbers."""
    given = attributes_of(node)
    automatic = given.get("auto_pad", b"NOTSET")
    if automatic in (b"SAME_UPPER", b"SAME_LOWER"):
        total = [max((-(-size[i] // strides[i]) - 1) * strides[i] + kernel[i] - size[i], 0) for i in (0, 1)]
        more, less = [(t + 1) // 2 for t in total], [t // 2 for t in total]
        return [*less, *more] if automatic == b"SAME_UPPER" else [*more, *less]
    return list(given.get("pads", [0] * 4)) if automatic == b"NOTSET" else [0] * 4


class SquareConvs(Normalisation):
    """A convolution with groups, dilation, or a window that is not square gets weights of 0 where it has none.

    It then computes the same on more weights: what that costs is in the plan.
    """

    kinds = ("Conv",)

    def rewrite(self, graph, node):
        given, shape = attributes_of(node), graph.shape(node.input[0])
        if len(shape) != 4:
            raise NodeRefused(node, f"its input has the shape {shape}", "use convolutions of 1 or 2 dimensions")
        weight_shape = graph.shape(node.input[1])
        dilations, strides = given.get("dilations", [1, 1]), given.get("strides", [1, 1])
        groups = given.get("group", 1)
        depthwise = groups > 1 and weight_shape[1] == 1
        kernel = [(k - 1) * d + 1 for k, d in zip(weight_shape[2:], dilations)]
        pads = explicit_pads(node, shape[2:], kernel, strides)
        if given.get("auto_pad", b"NOTSET") != b"NOTSET":
            set_attribute(node, auto_pad=None, pads=pads)
        plain = len(set(kernel)) == len(set(strides)) == len(set(pads)) == 1 and groups == 1
        if depthwise or (plain and set(dilations) == {1}):
            return False
        weights = Constants(graph.model).weights(node.input[1])
        if weights is None:
            return False  # refused where weights are looked at
        square = square_window(shape[2:], kernel, strides, pads)
        if square is None:
            raise NodeRefused(
                node,
                f"kernel {kernel}, strides {list(strides)}, pads {pads} on {shape[2]}x{shape[3]} fit no square window",
                "use the same stride for rows and columns",
            )
        old = weights.integers
        new = np.zeros((len(old), shape[1], square.kernel, square.kernel))
        inputs, outputs = shape[1] // groups, len(old) // groups
        rows = slice(square.top, square.top + kernel[0], dilations[0])
        columns = slice(square.left, square.left + kernel[1], dilations[1])
        for g in range(groups):
            o, c = slice(g * outputs, (g + 1) * outputs), slice(g * inputs, (g + 1) * inputs)
            new[o, c, rows, columns] = old[o]
        node.input[1] = zero_padded_weights(graph, new, weights.scale)
        set_attribute(
            node,
            group=1,
            dilations=[1, 1],
            kernel_shape=[square.kernel] * 2,
            strides=[square.stride] * 2,
            pads=[square.padding] * 4,
        )
        return True


def zero_padded_weights(graph, integers: np.ndarray, scale: np.ndarray) -> str:
    """Insert quantized weights ``integers * scale[o]`` in front of the node; return them."""
    least, most = integers.min(), integers.max()
    bits = max(int(max(abs(least), abs(most))).bit_length() + 1, 2)
    narrow = int(least > -(2 ** (bits - 1)))
    scale = np.asarray(scale, np.float32)
    scale = scale[0] if not np.ptp(scale) else scale.reshape(-1, *[1] * (integers.ndim - 1))
    values = graph.constant(integers * np.asarray(scale, np.float64))
    names = [graph.constant(value) for value in (scale, 0.0, float(bits))]
    return graph.before("Quant", [values, *names], domain=QUANT_DOMAIN, signed=1, narrow=narrow, rounding_mode="ROUND")


class Pools(Normalisation):
    """A pool states its pads: those of auto_pad and ceil_mode are numbers; a mean over the whole map is global."""

    kinds = ("AveragePool", "MaxPool")

    def rewrite(self, graph, node):
        given, shape = attributes_of(node), graph.shape(node.input[0])
        if len(shape) != 4:
            return False
        kernel, strides = given["kernel_shape"], given.get("strides", [1, 1])
        dilations = given.get("dilations", [1, 1])
        reach = [(taps - 1) * step + 1 for taps, step in zip(kernel, dilations)]
        pads, average = explicit_pads(node, shape[2:], reach, strides), node.op_type == "AveragePool"
        if average and list(kernel) == shape[2:] and not any(pads):
            graph.before("GlobalAveragePool", [node.input[0]], node.output[0])
            graph.remove()
            return True
        outputs = graph.shape(node.output[0])[2:]
        beyond = [
            max(0, (outputs[i] - 1) * strides[i] + reach[i] - shape[2 + i] - pads[i] - pads[i + 2]) for i in (0, 1)
        ]
        if average and any(beyond):
            raise NodeRefused(node, "its last windows reach beyond the map (ceil_mode)", "use ceil_mode=0")
        if average and any(pads) and not given.get("count_include_pad", 0):
            raise NodeRefused(
                node, "the mean at the border is over fewer pixels", "use padding=0 or count_include_pad=True"
            )
        pads = [*pads[:2], pads[2] + beyond[0], pads[3] + beyond[1]]
        if pads == given.get("pads", [0] * 4) and not given.get("ceil_mode", 0):
            return False
        set_attribute(node, auto_pad=None, ceil_mode=None, pads=pads)
        return True
