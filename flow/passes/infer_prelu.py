import numpy as np

from .chain import chain_input, chain_to_quantizer, evaluate_chain
from .grid import grid_of
from .integer import fit_multiply_shift
from .rewrite import Rewrite, Rewriter, refuse

BENT = ("PRelu", "Relu", "LeakyRelu", "Clip")


class InferPReLU(Rewrite):
    """Constants and a PRelu of any slopes on a fixed-point tensor, up to a quantizer, become PReLU.

    By evaluation on every value of the grid: each channel is two straight lines, whose multipliers and offsets are fitted so that
    all results are right.
    """

    def rewrite(self, model, start):
        chain = chain_to_quantizer(model, start)
        if chain is None or chain[-1].op_type != "Quant":
            return False
        tensor = chain_input(model, chain)
        grid, result = grid_of(model, tensor), grid_of(model, chain[-1].output[0])
        if grid is None or grid.bipolar or result is None or len(chain) == 1:
            return False
        channels = model.get_tensor_shape(tensor)[1]
        values = evaluate_chain(model, chain, grid.integers * grid.scale, channels)
        table = np.rint(values / result.scale).astype(np.int64)
        steps = self._steps(model, chain, grid, channels)
        lines, shift = fit_lines(grid.integers, table, steps, result.bits, chain[-1])
        rewriter = Rewriter(model)
        stream = rewriter.to_stream(tensor, grid.scale)
        stream = rewriter.node("PReLU", stream, [steps, *lines], bits=grid.bits, shift=shift, out_bits=result.bits)
        rewriter.from_stream(stream, result.scale, chain[-1].output[0])
        rewriter.replace(chain)
        return True

    @staticmethod
    def _steps(model, chain, grid, channels) -> np.ndarray:
        """The least value of the upper line in each channel: where what enters the bend turns positive (or back to negative)."""
        bends = [index for index, node in enumerate(chain) if node.op_type in BENT]
        if not bends:
            return np.full(channels, grid.low)
        if len(bends) > 1 or chain[bends[0]].op_type == "Clip":
            raise refuse(chain[bends[-1]], "only one bend between quantizers is mapped", "put a quantizer between them")
        entering = chain[: bends[0]]
        values = grid.integers * grid.scale
        before = evaluate_chain(model, entering, values, channels) if entering else np.broadcast_to(values[:, None], (len(values), channels))
        positive = before >= 0
        falling = positive[0] & ~positive[-1]
        return grid.low + np.where(falling, positive.sum(axis=0), (~positive).sum(axis=0))


def fit_lines(x: np.ndarray, table: np.ndarray, steps: np.ndarray, bits: int, node):
    """((down, down_offset, up, up_offset), shift), each [C], with the results ``table`` [K, C] of all values x [K].

    Raises:
        PassError: a channel is not two straight lines.
    """
    above = x[:, None] >= steps
    shift, fits = 4, []
    while not fits or any(fit[2] != shift for fit in fits):  # until both lines share a shift
        fits = [fit_multiply_shift(x, table, bits, node, part, shift) for part in (~above, above)]
        shift = max(fit[2] for fit in fits)
    (down, down_offset, _), (up, up_offset, _) = fits
    return (down, down_offset, up, up_offset), shift
