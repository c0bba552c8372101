import numpy as np

from .chain import QUANTIZERS, chain_input, chain_to_quantizer, evaluate_chain
from .grid import grid_of
from .rewrite import Rewrite, Rewriter


class InferVoteSelect(Rewrite):
    """Constants applied to a vote, up to their quantizer, become VoteSelect; up to another vote with a SignThreshold.

    A vote has two values, so the chain (scale, BatchNorm, rounding) has two results per channel.
    """

    def rewrite(self, model, start):
        chain = chain_to_quantizer(model, start)
        if chain is None or chain[-1].op_type not in QUANTIZERS:
            return False
        vote = chain_input(model, chain)
        grid, result = grid_of(model, vote), grid_of(model, chain[-1].output[0])
        if grid is None or not grid.bipolar or result is None:
            return False
        channels = model.get_tensor_shape(vote)[1]
        values = evaluate_chain(model, chain, grid.integers * grid.scale, channels)
        low, high = np.rint(values / result.scale)
        rewriter = Rewriter(model)
        stream = rewriter.to_stream(vote, grid.scale)
        stream = rewriter.node("VoteSelect", stream, [low, high], bits=max(2, result.bits))
        if result.bipolar:
            stream = rewriter.node("SignThreshold", stream, [np.zeros(channels, np.int64)], bits=2)
        rewriter.from_stream(stream, result.scale, chain[-1].output[0])
        rewriter.replace(chain)
        return True
