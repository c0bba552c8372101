import numpy as np

from flow.graph import consumers

from .chain import chain_to_quantizer, evaluate_chain
from .grid import grid_of
from .integer import affine_constants
from .rewrite import Rewrite, Rewriter, refuse
from .window import convolution_of

LOGIT_BITS = 32
LARGEST_TABLE = 1 << 24  # accumulator values times channels that are evaluated


class InferIntConv(Rewrite):
    """A convolution or dense layer with integer input and weights becomes SlidingWindow and IntConv.

    By what stands behind it:

    - a truncating Quant, all scales powers of two: a right shift;
    - constants per channel and a truncating Quant: an integer multiplier, an offset and a right shift, where the constants are on
      such a grid;
    - constants per channel and a BipolarQuant: the accumulators, and a SignThreshold on them;
    - the graph's output: its accumulators are the logits, and ``logit_scale`` is kept in the metadata.
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
        self.step = conv.step
        self.weights = conv.weights.rows()
        bias = np.zeros(len(self.weights)) if conv.bias is None else conv.bias.astype(np.float64) / self.step
        if not np.array_equal(bias, np.rint(bias)):
            raise refuse(node, f"its bias is off the accumulator's grid of {self.step[0]:g}")
        self.bias = bias.astype(np.int64)

    def replace(self):
        output = self.node.output[0]
        following = consumers(self.model, output)
        if not following and output == self.model.graph.output[0].name:
            if np.ptp(self.step):
                raise refuse(self.node, "its logits have a scale each", "quantize the last layer's weights with one scale")
            self.model.set_metadata_prop("logit_scale", repr(float(self.step[0])))
            self._emit([], output, float(self.step[0]), shift=0, out_bits=LOGIT_BITS)
            return
        chain = chain_to_quantizer(self.model, following[0]) if len(following) == 1 else None
        if chain is None:
            raise refuse(self.node, "its output does not run through constants into one quantizer")
        if chain[-1].op_type == "BipolarQuant":
            self._threshold(chain)
        else:
            self._requantize(chain)

    def _requantize(self, chain):
        quant = chain[-1]
        grid = grid_of(self.model, quant.output[0])
        rounding = {a.name: a.s for a in quant.attribute}.get("rounding_mode", b"ROUND")
        if grid is None or rounding != b"FLOOR":
            raise refuse(quant, "must truncate (rounding_mode FLOOR) to one scale")
        gain, offset = affine_constants(self.model, chain[:-1], len(self.weights))
        multiplier, bias, shift = self._integers(quant, gain * self.step / grid.scale, offset / grid.scale)
        self.bias = self.bias * multiplier + bias
        scaled = [multiplier] if (multiplier != 1).any() else []
        self._emit(chain, quant.output[0], grid.scale, scaled, shift=shift, out_bits=grid.bits)

    def _integers(self, quant, gain, offset):
        """Multiplier, offset [O] and shift with multiplier / 2^shift = gain and offset / 2^shift = offset, exactly."""
        for shift in range(40):
            multiplier, bias = gain * 2.0**shift, offset * 2.0**shift
            if np.array_equal(multiplier, np.rint(multiplier)) and np.array_equal(bias, np.rint(bias)):
                return multiplier.astype(np.int64), bias.astype(np.int64), shift
        raise refuse(quant, f"its scale is no multiple of a power of two of the accumulator's {self.step[0]:g}")

    def _threshold(self, chain):
        """Accumulators out, and a threshold on each of their values."""
        reach = self._reach()
        if (2 * reach + 1) * len(self.weights) > LARGEST_TABLE:
            raise refuse(self.node, f"its accumulators reach {reach}: too many to find the step of a sign by evaluation")
        accumulators = np.arange(-reach, reach + 1)
        bits = evaluate_chain(self.model, chain, accumulators[:, None] * self.step, len(self.weights)) > 0
        steps = np.diff(bits.astype(np.int8), axis=0)
        falling = (steps < 0).any(axis=0)
        if (falling & (steps > 0).any(axis=0)).any():
            raise refuse(chain[-1], "the sign neither rises nor falls with the accumulator in every channel")
        self.weights = np.where(falling[:, None], -self.weights, self.weights)
        self.bias = np.where(falling, -self.bias, self.bias)
        rising = np.where(falling, bits[::-1], bits)
        thresholds = -reach + (~rising).sum(axis=0)
        width = int(reach).bit_length() + 1
        self._emit(chain, chain[-1].output[0], 1.0, shift=0, out_bits=width, thresholds=thresholds)

    def _reach(self) -> int:
        grid = self.conv.grid
        return int((np.abs(self.weights).sum(axis=1) * max(-grid.low, grid.high) + np.abs(self.bias)).max())

    def _emit(self, chain, output, scale, scaled=(), thresholds=None, **attributes):
        conv, grid = self.conv, self.conv.grid
        largest = np.abs(self.weights).sum(axis=1) * max(-grid.low, grid.high)
        largest = largest * (np.abs(scaled[0]) if scaled else 1) + np.abs(self.bias)
        rewriter = Rewriter(self.model)
        stream = rewriter.to_stream(conv.input, grid.scale)
        stream = rewriter.node("SlidingWindow", stream, bits=grid.bits, pad_value=0, **conv.window)
        stream = rewriter.node(
            "IntConv", stream, [self.weights, self.bias, *scaled], features=len(self.weights), bits=grid.bits,
            weight_bits=max(2, conv.weights.bits), acc_bits=int(largest.max()).bit_length() + 1, **attributes,
        )  # fmt: skip
        if thresholds is not None:
            stream = rewriter.node("SignThreshold", stream, [thresholds], bits=attributes["out_bits"])
            scale = grid_of(self.model, output).scale
        rewriter.from_stream(stream, scale, output)
        rewriter.replace([*conv.nodes, *chain])
