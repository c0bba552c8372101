import math

import numpy as np

from flow.graph import consumers
from flow.nodes.stream import saturate

from .chain import chain_to_quantizer, evaluate_chain, rising_steps
from .grid import grid_of
from .integer import affine_constants
from .rewrite import APPROXIMATIONS, Rewrite, Rewriter, read_notes, refuse, write_notes
from .window import convolution_of

LOGIT_BITS = 32
MULTIPLIER_BITS = 16  # of a gain that is no multiple of a power of two
LARGEST_SHIFT = 40
MEASURED = 4096  # sums on which an integer form is compared with the real chain
LARGEST_TABLE = 1 << 24  # accumulator values times channels that are evaluated


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
        if conv is None or conv.grid.bipolar:
            return False
        if conv.padding and conv.pad_value != 0:
            raise refuse(node, f"padding with {conv.pad_value:g}")
        _Layer(model, node, conv).replace()
        return True


class _Layer:
    def __init__(self, model, node, conv):
        self.model, self.node, self.conv = model, node, conv
        self.step, self.weights = conv.step, conv.weights.rows()
        outputs = len(self.weights)
        self.bias = np.zeros(outputs) if conv.bias is None else conv.bias.astype(np.float64)  # real
        self.reach = int(np.abs(self.weights).sum(axis=1).max()) * max(-conv.grid.low, conv.grid.high)  # of a sum

    def replace(self):
        output = self.node.output[0]
        following = consumers(self.model, output)
        if not following and output == self.model.graph.output[0].name:
            self._logits(output)
            return
        chain = chain_to_quantizer(self.model, following[0]) if len(following) == 1 else None
        if chain is None:
            raise refuse(
                self.node, "its output does not run through constants into one quantizer", "put a quantizer behind it"
            )
        if chain[-1].op_type == "BipolarQuant":
            self._threshold(chain)
        else:
            self._requantize(chain)

    def _logits(self, output):
        if np.ptp(self.step):
            raise refuse(self.node, "its logits have a scale each", "quantize the last layer's weights with one scale")
        bias = self.bias / self.step
        if not np.array_equal(bias, np.rint(bias)):
            self._note("bias rounded to the accumulator's grid", float(np.abs(bias - np.rint(bias)).max()), len(bias))
        self.model.set_metadata_prop("logit_scale", repr(float(self.step[0])))
        self._emit([], output, float(self.step[0]), np.rint(bias), shift=0, out_bits=LOGIT_BITS)

    def _requantize(self, chain):
        quant = chain[-1]
        grid = grid_of(self.model, quant.output[0])
        rounding = {a.name: a.s for a in quant.attribute}.get("rounding_mode", b"ROUND")
        if grid is None or rounding not in (b"FLOOR", b"ROUND"):
            raise refuse(
                quant, f"rounds by {rounding.decode()} or has several scales", "use one scale and FLOOR or ROUND"
            )
        gain, offset = affine_constants(self.model, chain[:-1], len(self.weights))
        offset = (offset + gain * self.bias) / grid.scale
        gain = gain * self.step / grid.scale
        multiplier, bias, shift = self._integers(gain, offset, rounding == b"ROUND")
        self._measure(chain, grid, multiplier, bias, shift)
        scaled = [multiplier] if (multiplier != 1).any() else []
        self._emit(chain, quant.output[0], grid.scale, bias, scaled, shift=shift, out_bits=grid.bits)

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
        sums = np.unique(np.linspace(-self.reach, self.reach, MEASURED).astype(np.int64))
        real = evaluate_chain(self.model, chain, sums[:, None] * self.step + self.bias, len(self.weights)) / grid.scale
        integers = saturate((sums[:, None] * multiplier + bias) >> shift, grid.bits)
        error = np.abs(integers - np.rint(real))
        if error.max() > 1:
            raise refuse(
                chain[-1], f"multiply and shift differ by {error.max():g} from it", "use a power of two as its scale"
            )
        if error.any():
            self._note("multiply and shift", float(error.max()), error.size, int((error > 0).sum()))

    def _note(self, what, largest, values, differing=None):
        note = {"what": what, "largest_error": largest, "values": values, "differ": differing}
        write_notes(self.model, APPROXIMATIONS, {**read_notes(self.model, APPROXIMATIONS), self.node.name: note})

    def _threshold(self, chain):
        """Emit the sums as they are, and the threshold of each channel on them."""
        if (2 * self.reach + 1) * len(self.weights) > LARGEST_TABLE:
            raise refuse(self.node, f"its sums reach {self.reach}: too many to find the step of a sign by evaluation")
        sums = np.arange(-self.reach, self.reach + 1)
        bits = evaluate_chain(self.model, chain, sums[:, None] * self.step + self.bias, len(self.weights)) > 0
        falling, before = rising_steps(bits, chain[-1])
        self.weights = np.where(falling[:, None], -self.weights, self.weights)
        thresholds = before - self.reach
        width = self.reach.bit_length() + 1
        self._emit(
            chain, chain[-1].output[0], 1.0, np.zeros(len(self.weights)), shift=0, out_bits=width, thresholds=thresholds
        )

    def _emit(self, chain, output, scale, bias, scaled=(), thresholds=None, **attributes):
        conv, grid = self.conv, self.conv.grid
        rewriter = Rewriter(self.model)
        stream = rewriter.to_stream(conv.input, grid.scale)
        stream = rewriter.node("SlidingWindow", stream, bits=grid.bits, pad_value=0, **conv.window)
        stream = rewriter.node(
            "IntConv",
            stream,
            [self.weights, bias, *scaled],
            features=len(self.weights),
            bits=grid.bits,
            weight_bits=max(2, conv.weights.bits),
            scaled=len(scaled),
            **attributes,
        )
        if thresholds is not None:
            stream = rewriter.node("SignThreshold", stream, [thresholds], bits=attributes["out_bits"])
            scale = grid_of(self.model, output).scale
        rewriter.from_stream(stream, scale, output)
        rewriter.replace([*conv.nodes, *chain])
