"""Windows of convolutions and pools: automatic pads as numbers; groups of convolutions."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from flow.analysis.attributes import attributes_of
from flow.analysis.constants import Constants
from flow.nodes.windows import reach

from .edit import QUANT_DOMAIN, Editor, NodeRefused, Normalisation, set_attribute


def explicit_pads(node, size, kernel, strides) -> list[int]:
    """Return the pads of a Conv or pool (top, left, bottom, right), those of auto_pad made numbers."""
    given = attributes_of(node)
    automatic = given.get("auto_pad", b"NOTSET")
    if automatic in (b"SAME_UPPER", b"SAME_LOWER"):
        total = [max((-(-size[i] // strides[i]) - 1) * strides[i] + kernel[i] - size[i], 0) for i in (0, 1)]
        more, less = [(t + 1) // 2 for t in total], [t // 2 for t in total]
        return [*less, *more] if automatic == b"SAME_UPPER" else [*more, *less]
    return list(given.get("pads", [0] * 4)) if automatic == b"NOTSET" else [0] * 4


class PlainConvs(Normalisation):
    """A convolution says its pads in numbers."""

    kinds = ("Conv",)

    def rewrite(self, graph, node):
        given, shape = attributes_of(node), graph.shape(node.input[0])
        if len(shape) != 4:
            raise NodeRefused(node, f"its input has the shape {shape}", "use convolutions of 1 or 2 dimensions")
        kernel = graph.shape(node.input[1])[2:]
        if given.get("auto_pad", b"NOTSET") == b"NOTSET":
            return False
        span = reach(kernel, given.get("dilations", [1, 1]))
        pads = explicit_pads(node, shape[2:], span, given.get("strides", [1, 1]))
        set_attribute(node, auto_pad=None, pads=pads)
        return True


def as_one_group(graph: Editor, node: NodeProto) -> None:
    """Give a convolution with groups weights of 0 for the inputs of other groups: it is then one of one group, and
    computes the same on more weights."""
    groups = attributes_of(node).get("group", 1)
    weights = Constants(graph.model).weights(node.input[1]) if groups > 1 else None
    if weights is None:
        return  # refused where weights are looked at
    old = weights.integers
    inputs, outputs = old.shape[1], len(old) // groups
    new = np.zeros((len(old), inputs * groups, *old.shape[2:]))
    for g in range(groups):
        o, c = slice(g * outputs, (g + 1) * outputs), slice(g * inputs, (g + 1) * inputs)
        new[o, c] = old[o]
    node.input[1] = zero_padded_weights(graph, new, weights.scale)
    set_attribute(node, group=1)


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
    """A pool states its pads: those of auto_pad and ceil_mode are numbers; a mean over the whole map is global.

    What ceil_mode adds behind the map no mean counts. Where it counts the zeros of the pads, these become a Pad.
    """

    kinds = ("AveragePool", "MaxPool")

    def rewrite(self, graph, node):
        given, shape = attributes_of(node), graph.shape(node.input[0])
        if len(shape) != 4:
            return False
        kernel, strides = given["kernel_shape"], given.get("strides", [1, 1])
        span = reach(kernel, given.get("dilations", [1, 1]))
        pads, average = explicit_pads(node, shape[2:], span, strides), node.op_type == "AveragePool"
        if average and list(kernel) == shape[2:] and not any(pads):
            graph.before("GlobalAveragePool", [node.input[0]], node.output[0])
            graph.remove()
            return True
        if any(pad >= side for pad, side in zip(pads, span * 2)):
            way = "pad less than a window on each side"
            raise NodeRefused(node, f"pads {pads} hold whole windows of {list(kernel)}", way)
        if "auto_pad" not in given and not given.get("ceil_mode", 0):
            return False
        beyond = self._beyond(graph, node, span, strides, pads) if given.get("ceil_mode", 0) else [0, 0]
        if average and any(beyond) and any(pads) and given.get("count_include_pad", 0):
            full = graph.constant(np.array([0, 0, *pads[:2], 0, 0, *pads[2:]], np.int64))
            node.input[0] = graph.before("Pad", [node.input[0], full, graph.constant(0.0)], mode="constant")
            pads = [0] * 4
        pads = [*pads[:2], pads[2] + beyond[0], pads[3] + beyond[1]]
        counted = {"count_include_pad": None} if any(beyond) else {}
        set_attribute(node, auto_pad=None, ceil_mode=None, pads=pads, **counted)
        return True

    @staticmethod
    def _beyond(graph, node, span, strides, pads) -> list[int]:
        """Return the rows and columns that the last windows of ceil_mode reach beyond the padded map."""
        size, outputs, beyond = graph.shape(node.input[0])[2:], [], []
        for i in (0, 1):
            padded = size[i] + pads[i] + pads[i + 2]
            count = -(-(padded - span[i]) // strides[i]) + 1
            count -= (count - 1) * strides[i] >= size[i] + pads[i]  # no window starts behind the map
            outputs.append(count)
            beyond.append(max(0, (count - 1) * strides[i] + span[i] - padded))
        if (stated := graph.shape(node.output[0])[2:]) != outputs:
            raise NodeRefused(
                node,
                f"it has {outputs[0]}x{outputs[1]} outputs, and the file's shapes say {stated[0]}x{stated[1]}",
                "use ceil_mode=0",
            )
        return beyond
