import numpy as np
from qonnx.transformation.base import Transformation

from flow.graph import consumers

from .grid import grid_of
from .rewrite import Rewriter, refuse
from .window import convolution_of, weight_rows

LOGIT_BITS = 32


class InferIntConv(Transformation):
    """A convolution or dense layer with integer input and weights becomes SlidingWindow and IntConv.

    All scales are powers of two, so the truncating Quant behind it is a right shift. The last
    layer has no Quant: its accumulators are the logits, and ``logit_scale`` is kept in the metadata.
    """

    def apply(self, model):
        for node in list(model.graph.node):
            conv = convolution_of(model, node)
            if conv is None or conv.grid.bipolar or conv.weight_grid.bipolar:
                continue
            if conv.grid.fraction is None or conv.weight_grid.fraction is None:
                raise refuse(node, "its scales are no powers of two")
            if conv.padding and conv.pad_value != 0:
                raise refuse(node, f"padding with {conv.pad_value:g}")
            self._replace(model, node, conv)
            return model, True
        return model, False

    def _replace(self, model, node, conv):
        step = conv.grid.scale * conv.weight_grid.scale
        weights = weight_rows(conv.weights / conv.weight_grid.scale)
        bias = np.zeros(len(weights)) if conv.bias is None else conv.bias.astype(np.float64) / step
        if not np.array_equal(bias, np.rint(bias)):
            raise refuse(node, f"its bias is off the accumulator's grid of {step:g}")
        old, output, shift, out_bits, scale = self._requantization(model, node, step)
        largest = np.abs(weights).sum(axis=1) * max(-conv.grid.low, conv.grid.high) + np.abs(bias)
        rewriter = Rewriter(model)
        stream = rewriter.to_stream(conv.input, conv.grid.scale)
        stream = rewriter.node("SlidingWindow", stream, bits=conv.grid.bits, pad_value=0, **conv.window)
        stream = rewriter.node(
            "IntConv", stream, [weights, bias], features=len(weights), bits=conv.grid.bits,
            weight_bits=conv.weight_grid.bits, acc_bits=int(largest.max()).bit_length() + 1, shift=shift, out_bits=out_bits,
        )  # fmt: skip
        rewriter.from_stream(stream, scale, output)
        rewriter.replace([*conv.nodes, *old])

    @staticmethod
    def _requantization(model, node, step):
        following = consumers(model, node.output[0])
        if not following and node.output[0] == model.graph.output[0].name:
            model.set_metadata_prop("logit_scale", repr(float(step)))
            return [], node.output[0], 0, LOGIT_BITS, step
        if len(following) != 1 or following[0].op_type != "Quant":
            raise refuse(node, "its output is not quantized")
        quant = following[0]
        grid = grid_of(model, quant.output[0])
        rounding = {a.name: a.s for a in quant.attribute}.get("rounding_mode", b"ROUND")
        if grid is None or grid.fraction is None or rounding != b"FLOOR":
            raise refuse(quant, "must truncate (rounding_mode FLOOR) to a power-of-two scale")
        shift = int(np.log2(grid.scale / step))
        if shift < 0:
            raise refuse(quant, f"its scale {grid.scale:g} is finer than the accumulator's {step:g}")
        return [quant], quant.output[0], shift, grid.bits, grid.scale
