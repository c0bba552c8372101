import numpy as np

from .chain import chain_input, chain_to_quantizer, evaluate_chain
from .grid import grid_of
from .rewrite import Rewrite, Rewriter, refuse


class InferSignThreshold(Rewrite):
    """A fixed-point tensor that runs through constants into BipolarQuant becomes SignThreshold.

    By evaluation: the chain is run on every value of the grid, per channel, and must be a step upwards.
    """

    def rewrite(self, model, start):
        chain = chain_to_quantizer(model, start)
        if chain is None or chain[-1].op_type != "BipolarQuant":
            return False
        tensor = chain_input(model, chain)
        grid = grid_of(model, tensor)
        if grid is None or grid.bipolar:
            return False
        channels = model.get_tensor_shape(tensor)[1]
        bits = evaluate_chain(model, chain, grid.integers * grid.scale, channels) > 0
        if (np.diff(bits.astype(int), axis=0) < 0).any():
            raise refuse(chain[-1], f"the step behind {tensor} does not rise in every channel")
        thresholds = grid.low + (~bits).sum(axis=0)
        rewriter = Rewriter(model)
        stream = rewriter.to_stream(tensor, grid.scale)
        stream = rewriter.node("SignThreshold", stream, [thresholds], bits=grid.bits)
        rewriter.from_stream(stream, grid_of(model, chain[-1].output[0]).scale, chain[-1].output[0])
        rewriter.replace(chain)
        return True
