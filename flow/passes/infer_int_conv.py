import math

import numpy as np

from flow.graph import consumers
from flow.nodes.stream import saturate

from .chain import chain_to_quantizer, evaluate_chain
from .grid import grid_of
from .integer import AFFINE, affine_constants, fit_multiply_shift, nearest_multiply_shift
from .rewrite import APPROXIMATIONS, PassError, Rewrite, Rewriter, read_notes, refuse, write_notes
from .steps import Steps, is_monotone
from .window import convolution_of

LOGIT_BITS = 32
MULTIPLIER_BITS = 16  # of a gain that is no multiple of a power of two
LARGEST_SHIFT = 40
MEASURED = 4096  # sums on which an integer form is compared with the real chain
MOST_LEVELS = 1 << 8  # of a quantizer whose steps are found one by one
SATURATING = ("Relu", "Clip", "Max", "Min")


class InferIntConv(Rewrite):
    """A convolution or dense layer with integer input and weights becomes SlidingWindow and IntConv.

    The nodes after it decide what becomes of its sums:

    - a truncating Quant, all scales powers of two: a right shift;
    - constants per channel and a Quant: an integer multiplier, an offset and a right shift, exact where the constants
      are multiples of a power of two. Else the result may differ by 1, which is measured over the range of the sums and
      noted;
    - constants per channel and a BipolarQuant: the accumulators, and a SignThreshold on them;
    - the graph's output: its accumulators are the logits, and ``logit_scale`` is noted in the metadata.
    """

    def rewrite(self, model, node):
        conv = convolution_of(model, node)
        if conv is None or conv.grid.bipolar or conv.depthwise:
            return False
        pad = conv.pad_value / conv.grid.scale if conv.padded else 0.0
        if not (pad == 0 or (pad == round(pad) and conv.grid.low <= pad <= conv.grid.high)):
            raise refuse(node, f"padding with {conv.pad_value:g}: pad with 0 or with a value of the input")
        Layer(model, node, conv).replace()
        return True


class Layer:
    """A layer whose integer sums run through a chain of constants into a quantizer or the graph's output."""

    def __init__(self, model, node, conv):
        self.model, self.node, self.conv = model, node, conv
        self.step, self.weights = conv.step, conv.weights.rows()
        outputs = len(self.weights)
        self.bias = np.zeros(outputs) if conv.bias is None else conv.bias.astype(np.float64)  # real
        reach = int(np.abs(self.weights).sum(axis=1).max()) * max(-conv.grid.low, conv.grid.high)
        self.low, self.high = -reach, reach  # of a sum
        self.pad = round(conv.pad_value / conv.grid.scale) if conv.padded else 0

    def replace(self):
        """Replace it and its chain by hardware nodes.

        Raises:
            PassError: its chain has no integer form.
        """
        chain = self._to_output()
        if chain is not None:
            self._logits(chain)
            return
        following = consumers(self.model, self.node.output[0])
        chain = chain_to_quantizer(self.model, following[0]) if len(following) == 1 else None
        if chain is None:
            raise refuse(
                self.node, "its output does not run through constants into one quantizer", "put a quantizer behind it"
            )
        if chain[-1].op_type == "BipolarQuant":
            self._threshold(chain)
        else:
            self._requantize(chain)

    def _to_output(self):
        """Return the constants between the layer and the graph's output, or None where another node is there."""
        chain, tensor = [], self.node.output[0]
        while tensor != self.model.graph.output[0].name:
            following = consumers(self.model, tensor)
            if len(following) != 1 or following[0].op_type not in AFFINE:
                return None
            chain.append(following[0])
            tensor = following[0].output[0]
        return chain

    def _logits(self, chain):
        gain, offset = affine_constants(self.model, chain, len(self.weights))
        step, bias = gain * self.step, gain * self.bias + offset
        if np.ptp(step) or step[0] <= 0:
            raise refuse(self.node, "its logits have a scale each", "quantize the last layer's weights with one scale")
        bias = bias / step
        if not np.array_equal(bias, np.rint(bias)):
            self._note("bias rounded to the accumulator's grid", float(np.abs(bias - np.rint(bias)).max()), len(bias))
        self.model.set_metadata_prop("logit_scale", repr(float(step[0])))
        output = chain[-1].output[0] if chain else self.node.output[0]
        self._emit(chain, output, float(step[0]), np.rint(bias), shift=0, out_bits=LOGIT_BITS)

    def _real(self, sums):
        return sums * self.step + self.bias

    def _steps(self, chain, unit):
        """Return the steps of a monotone chain on all sums, or None."""
        if not is_monotone(self.model, chain):
            return None
        steps = Steps(self.model, chain, self.low, self.high, self._real, len(self.weights), unit)
        steps.check()
        return steps

    def _requantize(self, chain):
        grid = grid_of(self.model, chain[-1].output[0])
        if grid is None:
            raise refuse(chain[-1], "has several scales", "use one scale")
        form = self._stepwise(chain, grid)
        if form is None:
            form = self._nearest(chain, grid)
        multiplier, bias, shift = form
        scaled = [multiplier] if (multiplier != 1).any() else []
        self._emit(chain, chain[-1].output[0], grid.scale, bias, scaled, shift=shift, out_bits=grid.bits)

    def _stepwise(self, chain, grid):
        """Return multiplier, offset and shift that give the chain's result for every sum, or miss a few by 1; None if
        the chain is not monotone, or has too many steps."""
        if all(node.op_type in AFFINE for node in chain[:-1]) and self._has_exact_constants(chain, grid):
            return None
        steps = self._steps(chain, grid.scale)
        if steps is None or len(steps.levels) > MOST_LEVELS:
            return None
        sums, results = steps.points()
        try:
            multiplier, bias, shift = fit_multiply_shift(sums, results, grid.bits, chain[-1])
        except PassError:
            multiplier, bias, shift = nearest_multiply_shift(sums, results, grid.bits)
            multiplier = np.where(steps.falling, -multiplier, multiplier)
            self._measure(chain, grid, multiplier, bias, shift)
            return multiplier, bias, shift
        return np.where(steps.falling, -multiplier, multiplier), bias, shift

    def _nearest(self, chain, grid):
        """Return multiplier, offset and shift whose results differ from the chain's by 1 at most."""
        quant = chain[-1]
        rounding = {a.name: a.s for a in quant.attribute}.get("rounding_mode", b"ROUND")
        if rounding not in (b"FLOOR", b"ROUND"):
            raise refuse(quant, f"rounds by {rounding.decode()}", "use FLOOR or ROUND")
        multiplier, bias, shift = self._integers(*self._affine(chain, grid), rounding == b"ROUND")
        self._measure(chain, grid, multiplier, bias, shift)
        return multiplier, bias, shift

    def _affine(self, chain, grid):
        """Return gain and offset [O] of the quantizer's integers, per unit of a sum."""
        affine = [node for node in chain[:-1] if node.op_type not in SATURATING]
        gain, offset = affine_constants(self.model, affine, len(self.weights))
        return gain * self.step / grid.scale, (offset + gain * self.bias) / grid.scale

    def _has_exact_constants(self, chain, grid):
        """Return whether gain and offset are multiples of a power of two: no fit can be better, and none is needed."""
        return any(
            all(np.array_equal(value * 2.0**shift, np.rint(value * 2.0**shift)) for value in self._affine(chain, grid))
            for shift in range(LARGEST_SHIFT)
        )

    def _integers(self, gain, offset, rounds):
        """Return multiplier, offset [O] and shift of ``gain * sum + offset``: exact if the numbers allow it, else with
        multipliers of MULTIPLIER_BITS."""
        for shift in range(LARGEST_SHIFT):
            multiplier, bias = gain * 2.0**shift, offset * 2.0**shift
            if np.array_equal(multiplier, np.rint(multiplier)) and np.array_equal(bias, np.rint(bias)):
                break
        else:
            shift = MULTIPLIER_BITS - 1 - math.frexp(float(np.abs(gain).max()) or 1.0)[1]
            shift = min(max(shift, 0), LARGEST_SHIFT)
            multiplier, bias = gain * 2.0**shift, offset * 2.0**shift
        half = 1 << (shift - 1) if rounds and shift else 0
        return np.rint(multiplier).astype(np.int64), np.rint(bias).astype(np.int64) + half, shift

    def _measure(self, chain, grid, multiplier, bias, shift):
        """Compare the integer form with the chain on sums over the whole range; they may differ by 1 at most."""
        sums = np.unique(np.linspace(self.low, self.high, MEASURED).astype(np.int64))
        real = evaluate_chain(self.model, chain, self._real(sums[:, None]), len(self.weights)) / grid.scale
        integers = saturate(self._shifted(sums[:, None] * multiplier + bias, shift), grid.bits)
        error = np.abs(integers - np.rint(real))
        if error.max() > 1:
            raise refuse(
                chain[-1], f"multiply and shift differ by {error.max():g} from it", "use a power of two as its scale"
            )
        if error.any():
            self._note("multiply and shift", float(error.max()), error.size, int((error > 0).sum()))

    def _shifted(self, totals, shift):
        return totals >> shift

    def _note(self, what, largest, values, differing=None):
        note = {"what": what, "largest_error": largest, "values": values, "differ": differing}
        write_notes(self.model, APPROXIMATIONS, {**read_notes(self.model, APPROXIMATIONS), self.node.name: note})

    def _threshold(self, chain):
        """Emit the sums less the threshold of each channel, saturated to two bits, and their sign."""
        scale = grid_of(self.model, chain[-1].output[0]).scale
        steps = self._steps(chain, scale)
        if steps is None:
            raise refuse(chain[-1], "its chain is not monotone", "put a quantizer of several bits in front of it")
        # the results are -1 and +1: the level 1 is the step, or there is none
        sure = steps.least == steps.most
        first = steps.first[-1] if len(steps.levels) else np.full(len(self.weights), self.low)
        reach = max(-self.low, self.high)
        first = np.where(sure, np.where(steps.least > 0, -reach - 1, reach + 1), first)
        self.weights = np.where(steps.falling[:, None], -self.weights, self.weights)
        zeros = np.zeros(len(self.weights), np.int64)
        self._emit(chain, chain[-1].output[0], 1.0, -first, shift=0, out_bits=2, thresholds=zeros)

    def _emit(self, chain, output, scale, bias, scaled=(), thresholds=None, **attributes):
        rewriter = Rewriter(self.model)
        stream = rewriter.to_stream(self.conv.input, self.conv.grid.scale, self.conv.flat)
        stream = self._core(rewriter, stream, bias, scaled, attributes)
        if thresholds is not None:
            stream = rewriter.node("SignThreshold", stream, [thresholds], bits=attributes["out_bits"])
            scale = grid_of(self.model, output).scale
        rewriter.from_stream(stream, scale, output)
        rewriter.replace([*self.conv.nodes, *chain])

    def _core(self, rewriter, stream, bias, scaled, attributes):
        """Add the nodes that make scaled sums of ``stream``; return their stream."""
        conv, bits = self.conv, self.conv.grid.bits
        stream = rewriter.node("SlidingWindow", stream, bits=bits, pad_value=self.pad, **conv.window)
        return rewriter.node(
            "IntConv",
            stream,
            [self.weights, bias, *scaled],
            features=len(self.weights),
            bits=bits,
            weight_bits=max(2, conv.weights.bits),
            scaled=len(scaled),
            **attributes,
        )
