"""Signs, thresholds and binary weights that are written without a quantizer."""

from __future__ import annotations

import numpy as np
from qonnx.custom_op.registry import getCustomOp

from flow.analysis.attributes import attributes_of
from flow.graph import consumers

from .edit import QUANT_DOMAIN, Normalisation, set_attribute
from .no_ops import COMPARED


class Signs(Normalisation):
    """Sign becomes BipolarQuant: 0, which a sign leaves 0, becomes +1."""

    kinds = ("Sign",)

    def rewrite(self, graph, node):
        graph.before("BipolarQuant", [node.input[0], graph.constant(1.0)], node.output[0], domain=QUANT_DOMAIN)
        graph.remove()
        return True


class Choices(Normalisation):
    """Where(x >= t, a, b), and a comparison that is cast to a float, become BipolarQuant with constants.

    ``x > t`` is x >= the next float32 after t; a Not, and x < t, exchange the two values.
    """

    kinds = ("Where", "Cast")

    def rewrite(self, graph, node):
        model = graph.model
        nodes = [model.find_producer(node.input[0])]
        while nodes[-1] is not None and nodes[-1].op_type == "Not":
            nodes.append(model.find_producer(nodes[-1].input[0]))
        compare = nodes[-1]
        if compare is None or compare.op_type not in COMPARED:
            return False
        values = [model.get_initializer(name) for name in compare.input]
        upper, lower = (
            (np.float32(1), np.float32(0))
            if node.op_type == "Cast"
            else (model.get_initializer(name) for name in node.input[1:3])
        )
        if (values[0] is None) == (values[1] is None) or upper is None or lower is None:
            return False
        # x OP t, or t OP x, which is x OP' t
        kind, x, limit = compare.op_type, compare.input[0], values[1]
        if values[0] is not None:
            kind = {"Greater": "Less", "Less": "Greater"}.get(kind.removesuffix("OrEqual"), kind) + (
                "OrEqual" if kind.endswith("OrEqual") else ""
            )
            x, limit = compare.input[1], values[0]
        if kind in ("Greater", "LessOrEqual"):  # x > t, or the opposite of it
            limit = np.nextafter(np.float32(limit), np.float32(np.inf))
        if (kind in ("Less", "LessOrEqual")) != (len(nodes) % 2 == 0):
            upper, lower = lower, upper
        difference = graph.before("Sub", [x, graph.constant(limit)])
        scaled_sign(graph, difference, upper, lower, node.output[0])
        graph.remove()
        for dead in nodes:
            if not consumers(model, dead.output[0]):
                model.graph.node.remove(dead)
        return True


class Thresholds(Normalisation):
    """MultiThreshold of one threshold a channel becomes BipolarQuant with constants; of several it gets the Quant of
    its results, which changes no value, so that they have a grid."""

    kinds = ("MultiThreshold",)

    def rewrite(self, graph, node):
        model = graph.model
        steps, op = model.get_initializer(node.input[1]), getCustomOp(node)
        scale, bias = op.get_nodeattr("out_scale"), op.get_nodeattr("out_bias")
        shape = [1, -1, *[1] * (len(graph.shape(node.input[0])) - 2)]
        if steps is None:
            return False
        if steps.shape[1] == 1:
            difference = graph.before("Sub", [node.input[0], graph.constant(steps.reshape(shape))])
            scaled_sign(graph, difference, bias + scale, bias, node.output[0])
            graph.remove()
            return True
        following = consumers(model, node.output[0])
        if len(following) == 1 and following[0].op_type == "Quant":
            return False
        levels, output = steps.shape[1] + 1, node.output[0]
        set_attribute(node, out_bias=0.0)  # added behind the quantizer, which then begins at 0
        inner = graph.behind(output)
        names = [graph.constant(np.float32(value)) for value in (scale, 0.0, (levels - 1).bit_length())]
        kind = {"domain": QUANT_DOMAIN, "signed": 0, "narrow": 0, "rounding_mode": "ROUND"}
        if bias == 0:
            graph.after("Quant", [inner, *names], output, **kind)
            return True
        graph.after("Add", [f"{output}_levels", graph.constant(np.float32(bias))], output)
        graph.after("Quant", [inner, *names], f"{output}_levels", **kind)
        return True


class BinaryWeights(Normalisation):
    """Weights that are constants, of one size an output, -a and +a, or integers of 8 bits times a scale, become
    quantized ones."""

    kinds = ("Conv", "MatMul", "Gemm")

    def rewrite(self, graph, node):
        model = graph.model
        weights = model.get_initializer(node.input[1])
        if weights is None or weights.ndim < 2 or weights.size < 2:
            return False
        columns = node.op_type == "MatMul" or (node.op_type == "Gemm" and not attributes_of(node).get("transB", 0))
        others = 0 if columns else tuple(range(1, weights.ndim))
        size = np.abs(weights).max(axis=others, keepdims=True)
        if np.array_equal(np.abs(weights), np.broadcast_to(size, weights.shape)) and size.all():
            scale = graph.constant(size.flat[0] if not np.ptp(size) else size)
            node.input[1] = graph.before("BipolarQuant", [node.input[1], scale], domain=QUANT_DOMAIN)
            return True
        scale = _grid_scale(weights.reshape(1, -1))
        if scale is None:
            scale = _grid_scale((weights.T if columns else weights).reshape(size.size, -1))
        if scale is None:
            return False
        scale = scale.reshape(size.shape) if scale.size > 1 else scale.reshape(())
        names = [graph.constant(value) for value in (scale, 0.0, float(WEIGHT_BITS))]
        attributes = {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"}
        node.input[1] = graph.before("Quant", [node.input[1], *names], domain=QUANT_DOMAIN, **attributes)
        return True


WEIGHT_BITS = 8
FEWEST = 8  # values of a scale: fewer are on a grid by chance
OFF_GRID = 1e-4  # of a step


def _grid_scale(rows: np.ndarray) -> np.ndarray | None:
    """Return the largest scale [R] of each of the rows [R, K] of which all its values are multiples by integers of
    WEIGHT_BITS, or None where one has none."""
    if rows.shape[1] < FEWEST:
        return None
    rows = rows.astype(np.float64)
    largest = np.abs(rows).max(axis=1)
    scale, left = np.ones(len(rows)), np.flatnonzero(largest)
    for most in range(1, 1 << (WEIGHT_BITS - 1)):
        step = largest[left] / most
        units = rows[left] / step[:, None]
        fits = (np.abs(units - np.rint(units)) < OFF_GRID).all(axis=1)
        scale[left[fits]] = step[fits]
        left = left[~fits]
        if not left.size:
            return scale
    return None


def scaled_sign(graph, tensor: str, high, low, output: str) -> None:
    """Insert a node that gives ``high`` where ``tensor`` is 0 or more, else ``low``, in front of the node: a
    BipolarQuant, and the constants that it needs."""
    gain, offset = (np.asarray(high, np.float64) - low) / 2, (np.asarray(high, np.float64) + low) / 2
    plain = gain.size == 1 and gain.reshape(-1)[0] > 0
    steps = [] if plain else [("Mul", gain)]
    steps += [("Add", offset)] * bool(np.any(offset))
    scale = graph.constant(gain.reshape(-1)[0] if plain else 1.0)
    tensor = graph.before("BipolarQuant", [tensor, scale], None if steps else output, domain=QUANT_DOMAIN)
    for index, (kind, value) in enumerate(steps):
        tensor = graph.before(kind, [tensor, graph.constant(value)], output if index == len(steps) - 1 else None)
