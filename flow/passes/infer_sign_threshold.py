import numpy as np

from .chain import chain_input, chain_to_quantizer, evaluate_chain
from .forms import exact_form, many_thresholds
from .grid import Grid, grid_of
from .response import Response
from .rewrite import PassError, Rewrite, Rewriter, refuse


class InferSignThreshold(Rewrite):
    """A fixed-point tensor that runs through constants into BipolarQuant becomes SignThreshold.

    By evaluation: the chain is run on every value of the grid, per channel, and must be a step. Where channels fall, a
    PReLU of slopes -1 and +1 turns them and takes the thresholds off, and SignThreshold compares with 0.
    """

    def rewrite(self, model, start):
        chain = chain_to_quantizer(model, start)
        if chain is None or chain[-1].op_type != "BipolarQuant":
            return False
        tensor = chain_input(model, chain)
        grid = grid_of(model, tensor)
        if grid is None or grid.bipolar:
            return False
        result = grid_of(model, chain[-1].output[0])
        if result is None:
            raise refuse(chain[-1], "it has several scales", "use one scale, and a Mul behind it")
        channels = model.get_tensor_shape(tensor)[1]
        bits = evaluate_chain(model, chain, grid.integers * grid.scale, channels) > 0
        rewriter = Rewriter(model)
        stream = rewriter.to_stream(tensor, grid.scale)
        try:
            falling, before = rising_steps_of(bits, chain[-1])
        except PassError:
            form = self._turning(bits, grid, model, chain)
            if form is None:
                raise
            stream = rewriter.node(form.kind, stream, form.constants, bits=grid.bits, **form.attributes)
            falling, before = np.zeros(channels, bool), np.zeros(channels, np.int64)
            grid = Grid(1.0, 0, 1)
        thresholds, width = grid.low + before, grid.bits
        if falling.any():
            slope = np.where(falling, -1, 1)
            # falling: +1 for the first values, x < low + before, which is -x + low + before - 1 >= 0
            offset = np.where(falling, grid.low + before - 1, -(grid.low + before))
            lowest = np.full(channels, grid.low)
            lines = [slope, offset, slope, offset]
            stream = rewriter.node("PReLU", stream, [lowest, *lines], bits=grid.bits, shift=0, out_bits=2)
            thresholds, width = np.zeros(channels, np.int64), 2
        stream = rewriter.node("SignThreshold", stream, [thresholds], bits=width)
        rewriter.from_stream(stream, result.scale, chain[-1].output[0])
        rewriter.replace(chain)
        return True

    @staticmethod
    def _turning(bits, grid, model, chain):
        """Return the form that gives -1 and 0 for bits [K, C] that turn, or None."""
        results = bits.astype(np.int64) - 1
        response = Response.walked(grid.low, grid.high, 1, results)
        form = exact_form(response, model, chain, lambda integers: integers * grid.scale, grid.bits, 2)
        return form or many_thresholds(response, grid.bits, 2)


def rising_steps_of(bits: np.ndarray, node) -> tuple[np.ndarray, np.ndarray]:
    """Return (falling bool [C], count int [C]) of bits [K, C]: how many values come before the step of each channel.

    Raises:
        PassError: a channel neither rises nor falls.
    """
    change = np.diff(bits.astype(np.int8), axis=0)
    falling = (change < 0).any(axis=0)
    if (falling & (change > 0).any(axis=0)).any():
        raise refuse(node, "it neither rises nor falls with what it compares in every channel")
    return falling, np.where(falling, bits.sum(axis=0), (~bits).sum(axis=0))
