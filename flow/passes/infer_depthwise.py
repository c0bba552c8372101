import math

import numpy as np

from flow.analysis.pools import common_count
from flow.nodes.dot import dot_bounds
from flow.nodes.stream import signed_bits

from .infer_int_conv import Layer
from .rewrite import Rewrite, refuse
from .window import Convolution, convolution_of

RECIPROCAL = 1e-6  # relative error of scales in float32, one of which is another divided by a number of pixels


class InferDepthwise(Rewrite):
    """A convolution of one channel a group becomes SlidingWindow and ReduceWindow, whatever its integers: of signs and
    of signs as weights too. The nodes after it are taken as InferIntConv takes them."""

    def rewrite(self, model, node):
        conv = convolution_of(model, node)
        if conv is None or not conv.depthwise:
            return False
        DepthwiseLayer(model, node, conv).replace()
        return True


class DepthwiseLayer(Layer):
    """Sums of each channel by itself, weighted or, where all weights are 1, plain: of a pool.

    Plain sums of the whole map are a GlobalPool, and 2x2 means of stride 2 that only shift an AvgPool. Where means are
    over different numbers of pixels, sums have factors, by which they become those of a common number.
    """

    def __init__(self, model, node, conv: Convolution):
        super().__init__(model, node, conv)
        pad = conv.pad
        if pad != round(pad) or not conv.grid.low <= pad <= conv.grid.high:
            raise refuse(node, f"padding with {conv.pad_value:g}", "pad with 0 or with a value of the input")
        self.pad = round(pad)
        ends = (np.full(self.weights.shape[1], end) for end in (conv.grid.low, conv.grid.high))
        low, high = dot_bounds(tuple(ends), self.weights)
        self.low, self.high = int(low.min()), int(high.max())
        self.factors: list[np.ndarray] = []  # of the rows and of the columns of outputs
        if conv.divisors is not None:
            self.factors = [np.lcm.reduce(side) // side for side in conv.divisors]
            self.low, self.high = (common_count(conv.divisors) * end for end in (conv.grid.low, conv.grid.high))

    def _real(self, sums):
        """Return the real values of sums; a mean is divided, as a float holds no third."""
        parts = np.rint(1.0 / self.conv.weights.scale)
        if not np.array_equal(1.0 / parts, self.conv.weights.scale):
            return super()._real(sums)
        return sums * self.conv.grid.scale / parts + self.bias

    def _affine(self, chain, grid):
        """Return gain and offset of the quantizer's integers; a gain that float32 scales miss by little is a multiple
        of 2^-16."""
        gain, offset = super()._affine(chain, grid)
        near = np.rint(gain * 2.0**16) / 2.0**16
        return np.where(np.abs(gain - near) <= RECIPROCAL * np.abs(gain), near, gain), offset

    def _core(self, rewriter, stream, bias, scaled, attributes):
        grid, window = self.conv.grid, self.conv.window
        attributes = {**attributes, "even": int(self.even)}
        weights = self.weights
        if self.factors:  # a channel whose results fall has weights of -1
            scaled, weights = [weights[:, 0] * (scaled[0] if scaled else 1)], np.abs(weights)
        plain = bool((weights == 1).all())
        size = tuple(self.model.get_tensor_shape(self.conv.input)[2:])
        shape = [tuple(window[name]) for name in ("kernel", "stride", "dilation")]
        unpadded = not any(window["padding"])
        shifts = plain and not (scaled or np.any(bias))
        if plain and unpadded and shape[0] == size and shape[2] == (1, 1):
            constants = [] if shifts else [bias, *(scaled or [np.ones(len(bias))])]
            return rewriter.node("GlobalPool", stream, constants, bits=grid.bits, scaled=int(not shifts), **attributes)
        halves = shape == [(2, 2), (2, 2), (1, 1)] and unpadded and not any(side % 2 for side in size)
        mean = attributes == {"shift": 2, "out_bits": grid.bits, "even": 0} and not grid.bipolar
        if shifts and halves and mean:
            return rewriter.node("AvgPool", stream, bits=grid.bits)
        stream = rewriter.node("SlidingWindow", stream, bits=grid.bits, pad_value=self.pad, order="block", **window)
        signs = bool((np.abs(weights) == 1).all())
        return rewriter.node(
            "ReduceWindow",
            stream,
            [*([] if plain else [weights]), bias, *scaled, *self.factors],
            features=len(weights),
            taps=weights.shape[1],
            positions=math.prod(len(np.unique(side)) for side in self.factors) if self.factors else 0,
            bits=grid.bits,
            masked=int(grid.bipolar and not unpadded and self.pad == 0),
            weight_bits=0 if plain else 1 if signs else signed_bits(weights),
            scaled=len(scaled),
            **attributes,
        )
