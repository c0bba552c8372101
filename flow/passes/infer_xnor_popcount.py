import numpy as np
from qonnx.transformation.base import Transformation

from flow.graph import consumers

from .chain import chain_to_quantizer, evaluate_chain
from .grid import grid_of
from .integer import fit_multiply_shift
from .rewrite import Rewriter, refuse
from .window import convolution_of, weight_rows


class InferXnorPopcount(Transformation):
    """A convolution of bipolar activations and weights, up to its quantizer, becomes XnorPopcount.

    By evaluation of what follows on every sum s in {-n, -n+2, .., n}:

    - into BipolarQuant: a majority vote, popcount >= threshold. sign(2p - n) = +1 exactly when
      p >= n/2, whatever positive factor stands between.
    - into Quant: PopcountScale, an integer multiplier, offset and shift per channel that give the
      quantizer's result for every sum.
    """

    def apply(self, model):
        for node in list(model.graph.node):
            conv = convolution_of(model, node)
            if conv is None or not (conv.grid.bipolar and conv.weight_grid.bipolar):
                continue
            if conv.padding and conv.pad_value != -1:
                raise refuse(node, f"padding with {conv.pad_value:g}: only -1 is mapped, pad explicitly with -1")
            following = consumers(model, node.output[0])
            chain = chain_to_quantizer(model, following[0]) if len(following) == 1 else None
            if chain is None:
                raise refuse(node, "its sums do not run through constants into one quantizer")
            self._replace(model, conv, chain)
            return model, True
        return model, False

    def _replace(self, model, conv, chain):
        weights = weight_rows(conv.weights / conv.weight_grid.scale)
        features, n = weights.shape
        sums = np.arange(-n, n + 1, 2)
        results = evaluate_chain(model, chain, sums * conv.grid.scale * conv.weight_grid.scale, features)
        grid = grid_of(model, chain[-1].output[0])
        rewriter = Rewriter(model)
        stream = rewriter.to_stream(conv.input, conv.grid.scale)
        stream = rewriter.node("SlidingWindow", stream, bits=1, pad_value=-1, **conv.window)
        if grid.bipolar:
            threshold = self._threshold(chain[-1], results > 0)
            stream = rewriter.node(
                "XnorPopcount", stream, [weights], features=features, bits=1, activation="majority_vote", threshold=threshold
            )
        else:
            integers = np.rint(results / grid.scale).astype(np.int64)
            multiplier, offset, shift = fit_multiply_shift(sums, integers, grid.bits, chain[-1])
            stream = rewriter.node(
                "XnorPopcount", stream, [weights, multiplier, offset], features=features, bits=1,
                activation="popcount_scale", shift=shift, out_bits=grid.bits,
            )  # fmt: skip
        rewriter.from_stream(stream, grid.scale, chain[-1].output[0])
        rewriter.replace([*conv.nodes, *chain])

    @staticmethod
    def _threshold(node, votes):
        if (np.diff(votes.astype(int), axis=0) < 0).any():
            raise refuse(node, "the vote does not rise with the popcount in every channel")
        thresholds = (~votes).sum(axis=0)
        if (thresholds != thresholds[0]).any():
            raise refuse(node, "its channels vote at different popcounts: per-channel thresholds are not mapped yet")
        return int(thresholds[0])
