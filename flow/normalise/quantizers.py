"""Quantizers of one form: signed integers of whole width, or -1 and +1; what differs is an offset behind."""

from __future__ import annotations

import numpy as np
from qonnx.custom_op.general.quant import resolve_rounding_mode

from flow.analysis.attributes import attributes_of
from flow.analysis.constants import Constants
from flow.graph import consumers

from .edit import QUANT_DOMAIN, Editor, NodeRefused, Normalisation

ROUNDINGS = ("ROUND", "FLOOR", "CEIL", "UP", "DOWN", "HALF_UP", "HALF_DOWN")  # UP is away from 0, DOWN is towards it
ABOUT_ZERO = ("UP", "DOWN", "HALF_UP", "HALF_DOWN")  # negative numbers as positive ones
MOST_BITS = 16


class Rounds(Normalisation):
    """A rounding of values between two ends, which a Clip or a curve gives them, becomes a Quant of scale 1."""

    kinds = ("Round", "Floor", "Ceil")

    def rewrite(self, graph, node):
        ends, clip = self._ends_before(graph.model, node.input[0]), None
        if ends is None:
            readers = consumers(graph.model, node.output[0])
            clip = readers[0] if len(readers) == 1 and readers[0].op_type == "Clip" else None
            ends = _clip_ends(graph.model, clip) if clip is not None else None
        if ends is None or not np.isfinite(ends).all() or (clip is not None and any(end != round(end) for end in ends)):
            return False
        low, high = ({"Round": np.rint, "Floor": np.floor, "Ceil": np.ceil}[node.op_type](end) for end in ends)
        if not 1 <= high - low < 1 << MOST_BITS:
            return False
        tensor = node.input[0]
        if clip is not None:  # between whole ends it may as well come first
            tensor = graph.before("Clip", [tensor, *(graph.constant(np.float32(end)) for end in ends)])
            Editor(graph.model, clip).bypass()
        signed = int(low < 0)
        bits = max(int(high).bit_length() + signed, int(-low - 1).bit_length() + 1 if signed else 1)
        rounding = {"Round": "ROUND", "Floor": "FLOOR", "Ceil": "CEIL"}[node.op_type]
        graph.quant(tensor, 1.0, bits, signed=signed, rounding=rounding, output=node.output[0])
        graph.remove()
        return True

    @staticmethod
    def _ends_before(model, tensor: str):
        """Return the least and the largest value of ``tensor``, or None where it has none that are known."""
        steps = []
        node = model.find_producer(tensor)
        while node is not None and node.op_type in ("Mul", "Div", "Add", "Sub"):
            values = [model.get_initializer(name) for name in node.input]
            if values[0] is not None or values[1] is None or values[1].size > 1:
                return None
            steps.append((node.op_type, float(values[1].reshape(-1)[0])))
            node = model.find_producer(node.input[0])
        if node is None or node.op_type not in ("Clip", *CURVE_ENDS):
            return None
        ends = CURVE_ENDS.get(node.op_type) or _clip_ends(model, node)
        if ends is None:
            return None
        low, high = (np.float64(end) for end in ends)
        for kind, value in reversed(steps):
            apply = {"Mul": np.multiply, "Div": np.divide, "Add": np.add, "Sub": np.subtract}[kind]
            low, high = apply(low, value), apply(high, value)
        return min(low, high), max(low, high)


CURVE_ENDS = {"Sigmoid": (0.0, 1.0), "HardSigmoid": (0.0, 1.0), "Tanh": (-1.0, 1.0)}


def _clip_ends(model, clip):
    """Return the two constant ends of a Clip, or None."""
    given = attributes_of(clip)
    ends = [model.get_initializer(name) if name else None for name in (*clip.input[1:], "", "")[:2]]
    ends = [given.get(name) if end is None else float(end.reshape(-1)[0]) for name, end in zip(("min", "max"), ends)]
    return None if None in ends else tuple(ends)


class SignedQuants(Normalisation):
    """An unsigned, narrow or shifted Quant of a stream becomes a signed one of whole width, and constants.

    The integers lo..hi become ``integer - centre``, which fit the signed type; an end of lo..hi that is no end of the
    type is clipped by a second quantizer. ``centre`` is even where the quantizer rounds halves to even, so that it
    still rounds the same way. Two levels become a BipolarQuant.
    """

    kinds = ("Quant",)

    def rewrite(self, graph, node):
        constants = Constants(graph.model)
        if constants.value(node.input[0]) is not None:
            return False
        scale, zero, bits = (constants.value(name) for name in node.input[1:4])
        if scale is None or zero is None or bits is None:
            raise NodeRefused(node, "its scale, zero point or width depends on the image", "use a static quantizer")
        given, bits = attributes_of(node), float(np.max(bits))
        rounding = given.get("rounding_mode", b"ROUND").decode()
        signed, narrow = given.get("signed", 1), given.get("narrow", 0)
        low = -(2.0 ** (bits - 1)) + narrow if signed else 0.0
        high = 2.0 ** (bits - signed) - 1 - (0 if signed else narrow)
        self._check(node, scale, zero, bits, rounding)
        scale, zero = float(np.ravel(scale)[0]), float(np.ravel(zero)[0])
        if bits == 1 and signed:
            self._signs(graph, node, scale, zero)
            return True
        producer = graph.model.find_producer(node.input[0])
        if producer is not None and producer.op_type == "Relu":
            low = max(low, min(zero, high - 1))  # nothing is below 0
        if producer is not None and producer.op_type == "Clip":
            low, high = self._within_clip(graph, producer, scale, zero, (low, high), rounding)
        if high - low == 1:
            self._two_levels(graph, node, scale, zero, high, rounding)
            return True
        ends = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1)
        if zero == 0 and (low, high) == ends:
            return False
        self._signed(graph, node, scale, zero, (low, high), rounding)
        return True

    @staticmethod
    def _within_clip(graph, clip, scale, zero, interval, rounding):
        """Return the ends of the integers behind a Clip, which is then left out: what it cuts off, they do."""
        ends = _clip_ends(graph.model, clip)
        if ends is None or len(consumers(graph.model, clip.output[0])) > 1:
            return interval
        rounds = resolve_rounding_mode(rounding)
        found = [float(rounds(np.float32(end) / np.float32(scale) + np.float32(zero))) for end in ends]
        low, high = max(interval[0], found[0]), min(interval[1], found[1])
        if high - low < 1:
            return interval
        Editor(graph.model, clip).bypass()
        return low, high

    @staticmethod
    def _check(node, scale, zero, bits, rounding):
        if scale.size > 1 and np.ptp(scale):
            raise NodeRefused(node, f"it has {scale.size} scales", "quantize activations with one scale a tensor")
        if zero.size > 1 and np.ptp(zero):
            raise NodeRefused(node, f"it has {zero.size} zero points", "use one zero point a tensor")
        if bits != int(bits) or not 1 <= bits <= MOST_BITS:
            raise NodeRefused(node, f"it has {bits:g} bits", f"quantize to 1 to {MOST_BITS} bits")
        if rounding not in ROUNDINGS:
            raise NodeRefused(node, f"it rounds by {rounding}", f"use one of {', '.join(ROUNDINGS)}")
        if not np.all(np.asarray(scale) > 0):
            raise NodeRefused(node, f"its scale is {np.min(scale):g}", "use a positive scale")

    @staticmethod
    def _signs(graph, node, scale, zero):
        """Replace a signed Quant of one bit, which qonnx takes as the sign of ``x / scale + zero``."""
        tensor = graph.before("Add", [node.input[0], graph.constant(scale * zero)]) if zero else node.input[0]
        output = None if zero else node.output[0]
        tensor = graph.before("BipolarQuant", [tensor, graph.constant(scale)], output, domain=QUANT_DOMAIN)
        if zero:
            graph.before("Add", [tensor, graph.constant(-scale * zero)], node.output[0])
        graph.remove()

    @staticmethod
    def _two_levels(graph, node, scale, zero, high, rounding):
        if rounding in ABOUT_ZERO:  # both levels are on one side of 0, or one of them is 0
            positive = high > 0.5
            strict = rounding in (("UP", "HALF_DOWN") if positive else ("DOWN", "HALF_UP"))
            edge = high - 0.5 if "HALF" in rounding else high - strict
        else:
            edge = {"FLOOR": high, "CEIL": high - 1}.get(rounding, high - 0.5)
            strict = rounding == "CEIL" or (rounding == "ROUND" and high % 2 == 1)
        limit = np.float32(scale * (edge - zero))
        limit = np.nextafter(limit, np.float32(np.inf)) if strict else limit
        difference = graph.before("Sub", [node.input[0], graph.constant(limit)])
        sign = graph.before("BipolarQuant", [difference, graph.constant(scale / 2)], domain=QUANT_DOMAIN)
        graph.before("Add", [sign, graph.constant(scale * (high - 0.5 - zero))], node.output[0])
        graph.remove()

    @staticmethod
    def _signed(graph, node, scale, zero, interval, rounding):
        low, high = interval
        bits = int(np.ceil(np.log2(high - low + 1)))
        half = 2.0 ** (bits - 1)
        centres = [low + half, high - half + 1]
        even = [c for c in centres if c % 2 == 0 or rounding != "ROUND"]
        if not even:
            bits, half = bits + 1, 2.0**bits
            even = [2 * np.floor((low + half) / 2)]
        centre = 0.0 if 0.0 in even else even[0]
        tensor, output = node.input[0], node.output[0]
        if zero != 0 or rounding in ABOUT_ZERO:  # rounding is left to the quantizer itself, what follows is exact
            tensor = graph.before("Quant", list(node.input), domain=QUANT_DOMAIN, **attributes_of(node))
            rounding = "ROUND"
        if zero != centre:
            tensor = graph.before("Add", [tensor, graph.constant((zero - centre) * scale)])
        ends = [max(low - centre, -half), min(high - centre, half - 1)]
        clips = [("Max", ends[0])] * (ends[0] > -half) + [("Min", ends[1])] * (ends[1] < half - 1)
        last = len(clips) + (zero != centre) == 0
        tensor = graph.quant(tensor, scale, bits, rounding=rounding, output=output if last else None)
        for index, (kind, end) in enumerate(clips):
            clipped = graph.before(kind, [tensor, graph.constant(np.float32(end * scale))])
            last = index == len(clips) - 1 and zero == centre
            tensor = graph.quant(clipped, scale, bits, output=output if last else None)
        if zero != centre:
            graph.before("Add", [tensor, graph.constant((centre - zero) * scale)], output)
        graph.remove()
