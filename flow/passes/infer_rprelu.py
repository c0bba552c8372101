import numpy as np

from flow.graph import consumers

from .chain import chain_input, chain_to_quantizer, evaluate_chain
from .grid import grid_of
from .rewrite import PassError, Rewrite, Rewriter, refuse


class InferRPReLU(Rewrite):
    """Shift, PRelu, shift on a fixed-point tensor, up to the quantizer of the same grid, become RPReLU.

    By evaluation: the chain is run on every value of the grid, and per channel the two shifts and the slope 2^-k are
    found that give all of its results.
    """

    def rewrite(self, model, start):
        chain = self._chain(model, start)
        if chain is None:
            return False
        tensor = chain_input(model, chain)
        grid = grid_of(model, tensor)
        channels = model.get_tensor_shape(tensor)[1]
        results = evaluate_chain(model, chain, grid.integers * grid.scale, channels) / grid.scale
        try:
            before, slope, after = fit_rprelu(np.rint(results).astype(np.int64), grid.bits, chain[-1])
        except PassError:
            return False  # InferActivation takes slopes that are no powers of two
        rewriter = Rewriter(model)
        stream = rewriter.to_stream(tensor, grid.scale)
        stream = rewriter.node("RPReLU", stream, [before, slope, after], bits=grid.bits)
        rewriter.from_stream(stream, grid.scale, chain[-1].output[0])
        rewriter.replace(chain)
        return True

    @staticmethod
    def _chain(model, start):
        """Return the chain from a fixed-point tensor over a PRelu to a Quant on the tensor's own grid, or None."""
        chain = chain_to_quantizer(model, start)
        if chain is None or chain[-1].op_type != "Quant" or not any(node.op_type == "PRelu" for node in chain):
            return None
        grid = grid_of(model, chain_input(model, chain))
        if grid is None or grid.bipolar or grid.low != -(1 << (grid.bits - 1)):
            return None
        while grid_of(model, chain[-1].output[0]) != grid:
            following = consumers(model, chain[-1].output[0])
            more = chain_to_quantizer(model, following[0]) if len(following) == 1 else None
            if more is None or more[-1].op_type != "Quant":
                raise refuse(chain[-1], "an activation must end on the grid of its input")
            chain += more
        return chain


def fit_rprelu(table: np.ndarray, bits: int, node) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return before, slope, after [C] with which RPReLU has the results ``table`` [2^bits, C] on the values
    -2^(bits - 1) .. 2^(bits - 1) - 1.

    Raises:
        PassError: a channel is no such function.
    """
    found = [_fit(table[:, channel], bits) for channel in range(table.shape[1])]
    if None in found:
        raise refuse(node, f"channel {found.index(None)} is no shift, PReLU of slope 2^-k and shift")
    return tuple(np.array(column, np.int64) for column in zip(*found))


def _fit(results: np.ndarray, bits: int) -> tuple[int, int, int] | None:
    """Return before, slope, after of one channel, or None.

    With slope 2^-k the results step by 1 where u = x + before is a multiple of 2^k, and everywhere from u = 0 on. So
    u = 0 is the first of the last steps without a gap; or, where saturation or the end of the grid hides the upper
    line, the last step or the next one of the lower line. Which of them it is, the results tell.
    """
    lowest, highest = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    x = np.arange(lowest, highest + 1)
    rises = np.diff(results)
    if rises.min() < 0 or rises.max() > 1:
        return None
    stepping = x[1:][rises > 0]
    if not len(stepping):  # constant: lowest, or no such function
        return (lowest, 0, lowest) if results[0] == lowest else None
    gaps = np.flatnonzero(np.diff(stepping) > 1)
    unbroken, last = int(stepping[gaps[-1] + 1 if len(gaps) else 0]), int(stepping[-1])
    for slope in range(bits):
        for zero in (unbroken, last, last + (1 << slope)):
            if -highest <= zero <= -lowest:
                u = x - zero
                bent = np.where(u >= 0, u, u >> slope)
                after = int(results[last - lowest] - bent[last - lowest])
                if lowest <= after <= highest and np.array_equal(np.clip(bent + after, lowest, highest), results):
                    return -zero, slope, after
    return None
