import json
import math

import numpy as np

from flow.graph import consumers
from flow.nodes.multiply_shift import shifted
from flow.nodes.stream import saturate, signed_bits

from .chain import chain_end, chains_to_quantizers, evaluate_chain, has_constants_of_channels
from .forms import Form, exact_form, form_nodes, many_thresholds, nearest_form
from .grid import grid_of
from .integer import AFFINE, LARGEST_SHIFT, affine_constants, dyadic_multiply_shift, nearest_multiply_shift
from .response import Response
from .rewrite import APPROXIMATIONS, PassError, Rewrite, Rewriter, read_notes, refuse, write_notes
from .steps import is_monotone
from .window import convolution_of

LOGIT_BITS = 32
MULTIPLIER_BITS = 16  # of a gain that is no multiple of a power of two, and 6 more than the result has
MEASURED = 4096  # sums on which an integer form is compared with the real chain
SATURATING = ("Relu", "Clip", "Max", "Min")
ROUNDINGS = (b"FLOOR", b"ROUND")  # of a shift


class InferIntConv(Rewrite):
    """A convolution or dense layer with integer input and weights becomes SlidingWindow and IntConv.

    One of the two may be bipolar (both: see InferXnorPopcount), and stays so, on one bit.

    The nodes after it decide what becomes of its sums:

    - a truncating Quant, all scales powers of two: a right shift;
    - constants and bends per channel and one quantizer or several: by evaluation on the sums that can occur, an integer
      multiplier, an offset and a right shift; or the sums, and behind them a MultiThreshold, PReLU, ValueTable or
      SignThreshold. Where none of them gives every result, the first may differ by 1, which is measured over the range
      of the sums and noted;
    - the graph's output: its accumulators are the logits, and ``logit_scale`` is noted in the metadata.
    """

    def rewrite(self, model, node):
        conv = convolution_of(model, node)
        if conv is None or (conv.grid.bipolar and conv.weights.bipolar) or conv.depthwise:
            return False
        pad = conv.pad
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
        self.pad = round(conv.pad)
        self.even = False  # whether halves go to the even neighbour

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
        chains = list(chains_to_quantizers(self.model, following[0])) if len(following) == 1 else []
        if not chains:
            raise refuse(
                self.node,
                f"its output does not run through constants into one quantizer: {chain_end(self.model, self.node)}",
                "put a quantizer behind it",
            )
        if not any(self._exact(chain) for chain in reversed(chains)):
            self._inexact(chains[0])

    def _exact(self, chain) -> bool:
        """Emit the layer with a chain to a quantizer, if a form of it gives all results; return whether it does."""
        grid = grid_of(self.model, chain[-1].output[0])
        if grid is None:
            return False
        constants = None if grid.bipolar else self._exact_constants(chain, grid)
        if constants is not None:
            self._multiply(chain, grid, constants)
            return True
        try:
            response = self._response(chain, grid)
        except PassError:
            return False
        if response is None:
            return False
        falling = response.falling
        return self._vote(chain, response, falling) if grid.bipolar else self._value(chain, response, falling, grid)

    @property
    def reach(self) -> int:
        """The largest magnitude of a sum."""
        return max(-self.low, self.high)

    def _response(self, chain, grid):
        """Return the response of the chain to all sums; where a channel falls with them, to their opposites too."""
        for low in (self.low, -self.reach):
            high = self.high if low == self.low else self.reach
            found = Response.of(self.model, chain, low, high, self._real, len(self.weights), grid.scale)
            if found is None or not found.falling.any():
                break
        return found

    def _vote(self, chain, response, falling):
        """Emit the sums less the threshold of each channel, saturated to two bits, and their sign."""
        turned = response.turned()
        if turned.falls.size or turned.rises.shape[1] > 2:  # a step is 2: from -1 to +1
            return self._turning_vote(chain, response)
        first = np.full(len(falling), -self.reach - 1)  # of a channel that is always +1
        if turned.rises.size:
            first = turned.rises[:, 0]
        first = np.where(turned.base > 0, -self.reach - 1, first)
        self.weights = np.where(falling[:, None], -self.weights, self.weights)
        zeros = np.zeros(len(first), np.int64)
        form = Form("SignThreshold", [zeros], {})
        self._emit(chain, chain[-1].output[0], 1.0, -first, shift=0, out_bits=2, forms=(form,))
        return True

    def _turning_vote(self, chain, response):
        """Emit the sums, the form that gives -1 and 0 for bits that turn, and its sign; return whether there is one."""
        bits = signed_bits(-self.reach, self.reach)
        form = exact_form(response.of_bits(), self.model, chain, self._real, bits, 2)
        form = form or many_thresholds(response.of_bits(), bits, 2)
        if form is None:
            return False
        zeros = np.zeros(len(response.base), np.int64)
        sign = Form("SignThreshold", [zeros], {})
        self._emit(chain, chain[-1].output[0], 1.0, zeros, shift=0, out_bits=bits, forms=(form, sign))
        return True

    def _value(self, chain, response, falling, grid):
        found = response.multiply_shift(grid.bits, chain[-1])
        if found is not None:
            self._multiply(chain, grid, found)
            return True
        turned = response.turned()
        bits = signed_bits(-self.reach, self.reach)

        def real(sums):
            return self._real(np.where(falling, -sums, sums))

        form = exact_form(turned, self.model, chain, real, bits, grid.bits)
        if form is None:
            return False
        self.weights = np.where(falling[:, None], -self.weights, self.weights)
        zeros = np.zeros(len(falling), np.int64)
        self._emit(chain, chain[-1].output[0], grid.scale, zeros, shift=0, out_bits=bits, forms=(form,))
        return True

    def _multiply(self, chain, grid, found):
        multiplier, bias, shift = found
        scaled = [multiplier] if (multiplier != 1).any() else []
        self._emit(chain, chain[-1].output[0], grid.scale, bias, scaled, shift=shift, out_bits=grid.bits)

    def _inexact(self, chain):
        """Emit a form whose results differ from the chain's by 1 at most."""
        grid = grid_of(self.model, chain[-1].output[0])
        if grid is None:
            raise refuse(chain[-1], "has several scales", "use one scale")
        if grid.bipolar:
            raise refuse(chain[-1], "its chain is not monotone", "put a quantizer of several bits in front of it")
        response = None
        if is_monotone(self.model, chain):
            response = self._response(chain, grid)
        straight = all(node.op_type in AFFINE for node in chain[:-1]) and grid.low == -(1 << (grid.bits - 1))
        straight &= self._rounding(chain) in ROUNDINGS
        if response is None or straight:
            found = self._nearest(chain, grid)
        else:
            found, self.even = self._straight(response, grid), False
        if found is None:
            self._nearest_lines(chain, response, grid)
            return
        self._measure(chain, grid, *found)
        self._multiply(chain, grid, found)

    @staticmethod
    def _straight(response, grid):
        """Return multiplier, offset and shift whose results differ from the response by 1 at most, or None: bends may
        lie where results are saturated."""
        sums, results = response.points()
        multiplier, bias, shift = nearest_multiply_shift(sums, results, grid.bits)
        off = np.abs(saturate((sums * multiplier + bias) >> shift, grid.bits) - results)
        return None if off.max() > 1 else (multiplier, bias, shift)

    def _nearest_lines(self, chain, response, grid):
        zeros, bits = np.zeros(len(self.weights), np.int64), signed_bits(-self.reach, self.reach)
        nearest = nearest_form(response, self.model, chain, self._real, grid.bits)
        if nearest.largest > 1 and (many := many_thresholds(response, bits, grid.bits)) is not None:
            self._emit(chain, chain[-1].output[0], grid.scale, zeros, shift=0, out_bits=bits, forms=(many,))
            return
        if nearest.largest > 1:
            raise refuse(
                chain[-1],
                f"two straight lines a channel differ by {nearest.largest} from it",
                "quantize it to 3 bits or fewer",
            )
        write_notes(
            self.model, APPROXIMATIONS, {**read_notes(self.model, APPROXIMATIONS), self.node.name: nearest.note()}
        )
        self._emit(chain, chain[-1].output[0], grid.scale, zeros, shift=0, out_bits=bits, forms=(nearest.form,))

    def _to_output(self):
        """Return the constants between the layer and the graph's output, or None where another node is there."""
        chain, tensor = [], self.node.output[0]
        while tensor != self.model.graph.output[0].name:
            following = consumers(self.model, tensor)
            if len(following) != 1 or following[0].op_type not in AFFINE:
                return None
            if not has_constants_of_channels(self.model, following[0]):
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
            rest = (bias - np.rint(bias)) * step[0]  # which the scores add
            same = not np.ptp(rest)
            self.model.set_metadata_prop("logit_offset", json.dumps(float(rest[0]) if same else rest.tolist()))
        self.model.set_metadata_prop("logit_scale", repr(float(step[0])))
        output = chain[-1].output[0] if chain else self.node.output[0]
        self._emit(chain, output, float(step[0]), np.rint(bias), shift=0, out_bits=LOGIT_BITS)

    def _real(self, sums):
        return sums * self.step + self.bias

    def _nearest(self, chain, grid):
        """Return multiplier, offset and shift whose results differ from the chain's by 1 at most."""
        rounding = self._rounding(chain)
        if rounding not in ROUNDINGS:
            raise refuse(chain[-1], f"rounds by {rounding.decode()}", "use FLOOR or ROUND")
        return self._integers(*self._affine(chain, grid), rounding == b"ROUND", grid.bits)

    @staticmethod
    def _rounding(chain) -> bytes:
        return {a.name: a.s for a in chain[-1].attribute}.get("rounding_mode", b"ROUND")

    def _affine(self, chain, grid):
        """Return gain and offset [O] of the quantizer's integers, per unit of a sum."""
        affine = [node for node in chain[:-1] if node.op_type not in SATURATING]
        gain, offset = affine_constants(self.model, affine, len(self.weights))
        return gain * self.step / grid.scale, (offset + gain * self.bias) / grid.scale

    def _exact_constants(self, chain, grid):
        """Return multiplier, offset and shift of an affine chain whose gain and offset are multiples of a power of two,
        if they give all its results, else None: no fit is needed then."""
        rounding = self._rounding(chain)
        if not all(node.op_type in AFFINE for node in chain[:-1]) or rounding not in ROUNDINGS:
            return None
        gain, offset = self._affine(chain, grid)
        found = dyadic_multiply_shift(gain, offset, rounding == b"ROUND")
        if found is None:
            return None
        multiplier, bias, shift, self.even = found
        sums, results = self._samples(chain, grid)
        right = saturate(shifted(sums * multiplier + bias, shift, self.even), grid.bits) == results
        if right.all():
            return multiplier, bias, shift
        self.even = False
        return None

    def _samples(self, chain, grid):
        """Return sums over the whole range [K, 1], the 64 least of all magnitudes among them, and the chain's results
        [K, C]."""
        sums = np.linspace(self.low, self.high, MEASURED).astype(np.int64)
        sums = np.unique(np.concatenate([sums, np.arange(max(self.low, -64), min(self.high, 64) + 1)]))[:, None]
        real = evaluate_chain(self.model, chain, self._real(sums), len(self.weights)) / grid.scale
        return sums, np.rint(real).astype(np.int64)

    def _integers(self, gain, offset, rounds, bits=8):
        """Return multiplier, offset [O] and shift of ``gain * sum + offset``: exact if the numbers allow it, else with
        multipliers of MULTIPLIER_BITS, or 6 more than the ``bits`` of the result.

        What ``rounds`` has half of what the shift drops in its offset; where it is exact, halves go to the even
        neighbour, if there are any.
        """
        found = dyadic_multiply_shift(gain, offset, rounds)
        if found is not None:
            *found, self.even = found
            return tuple(found)
        self.even = False
        shift = max(MULTIPLIER_BITS, bits + 6) - 1 - math.frexp(float(np.abs(gain).max()) or 1.0)[1]
        shift = min(max(shift, 0), LARGEST_SHIFT)
        half = 1 << (shift - 1) if rounds and shift else 0
        multiplier, bias = (np.rint(value * 2.0**shift).astype(np.int64) for value in (gain, offset))
        return multiplier, bias + half, shift

    def _measure(self, chain, grid, multiplier, bias, shift):
        """Compare the integer form with the chain on sums over the whole range; they may differ by 1 at most."""
        sums, results = self._samples(chain, grid)
        error = np.abs(saturate(shifted(sums * multiplier + bias, shift, self.even), grid.bits) - results)
        if error.max() > 1:
            raise refuse(
                chain[-1], f"multiply and shift differ by {error.max():g} from it", "use a power of two as its scale"
            )
        if error.any():
            self._note("multiply and shift", float(error.max()), error.size, int((error > 0).sum()))

    def _note(self, what, largest, values, differing=None):
        note = {"what": what, "largest_error": largest, "values": values, "differ": differing}
        write_notes(self.model, APPROXIMATIONS, {**read_notes(self.model, APPROXIMATIONS), self.node.name: note})

    def _emit(self, chain, output, scale, bias, scaled=(), forms=(), **attributes):
        rewriter = Rewriter(self.model)
        stream = rewriter.to_stream(self.conv.input, self.conv.grid.scale, self.conv.flat)
        stream = self._core(rewriter, stream, bias, scaled, attributes)
        if forms:
            stream = form_nodes(rewriter, stream, forms, attributes["out_bits"])
            scale = grid_of(self.model, output).scale
        rewriter.from_stream(stream, scale, output)
        rewriter.replace([*self.conv.nodes, *chain])

    def _core(self, rewriter, stream, bias, scaled, attributes):
        """Add the nodes that make scaled sums of ``stream``; return their stream."""
        conv, bits = self.conv, self.conv.grid.bits
        stream = rewriter.node("SlidingWindow", stream, bits=bits, pad_value=self.pad, **conv.window_of())
        return rewriter.node(
            "IntConv",
            stream,
            [self.weights, bias, *scaled],
            features=len(self.weights),
            conv_groups=conv.groups,
            bits=bits,
            masked=int(conv.grid.bipolar and conv.padded and self.pad == 0),
            weight_bits=conv.weights.bits,
            scaled=len(scaled),
            even=int(self.even),
            **attributes,
        )
