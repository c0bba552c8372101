import numpy as np

from flow.nodes.stream import saturate

from .chain import CURVED, chain_input, chain_to_quantizer, evaluate_chain
from .grid import grid_of
from .integer import fit_multiply_shift
from .rewrite import APPROXIMATIONS, PassError, Rewrite, Rewriter, read_notes, refuse, write_notes

NEAREST_SHIFT = 16
BENT = ("PRelu", "Relu", "LeakyRelu", "Clip", "Max", "Min")


class InferPReLU(Rewrite):
    """Constants and a PRelu of any slopes on a fixed-point tensor, up to a quantizer, become PReLU.

    By evaluation on every value of the grid: each channel is two straight lines, whose multipliers and offsets are
    fitted so that all results are right.
    """

    def rewrite(self, model, start):
        chain = chain_to_quantizer(model, start)
        if chain is None or chain[-1].op_type != "Quant":
            return False
        tensor = chain_input(model, chain)
        grid, result = grid_of(model, tensor), grid_of(model, chain[-1].output[0])
        if grid is None or grid.bipolar or result is None or (len(chain) == 1 and grid == result):
            return False
        channels = model.get_tensor_shape(tensor)[1]
        values = evaluate_chain(model, chain, grid.integers * grid.scale, channels)
        table = np.rint(values / result.scale).astype(np.int64)
        steps = self._steps(model, chain, grid, channels, table, result.bits)
        try:
            lines, shift = fit_lines(grid.integers, table, steps, result.bits, chain[-1])
        except PassError:
            blamed = next((node for node in chain if node.op_type in CURVED), chain[-1])
            lines, shift = self._nearest(model, chain[-1], blamed, grid, table, steps, result.bits)
        rewriter = Rewriter(model)
        stream = rewriter.to_stream(tensor, grid.scale)
        stream = rewriter.node("PReLU", stream, [steps, *lines], bits=grid.bits, shift=shift, out_bits=result.bits)
        rewriter.from_stream(stream, result.scale, chain[-1].output[0])
        rewriter.replace(chain)
        return True

    @staticmethod
    def _nearest(model, quant, blamed, grid, table, steps, bits):
        """Return lines whose results differ by 1 at most: halves that are rounded to even are on no straight line."""
        lines, shift = nearest_lines(grid.integers, table, steps, bits)
        error = np.abs(line_results(grid.integers, steps, lines, shift, bits) - table)
        if error.max() > 1:
            raise refuse(
                blamed, f"two straight lines a channel differ by {error.max()} from it", "quantize in front of it"
            )
        note = {"what": "two lines", "largest_error": 1.0, "values": error.size, "differ": int((error > 0).sum())}
        write_notes(model, APPROXIMATIONS, {**read_notes(model, APPROXIMATIONS), quant.name: note})
        return lines, shift

    @staticmethod
    def _steps(model, chain, grid, channels, table, bits) -> np.ndarray:
        """Return the least value of the upper line in each channel, where the input of the bend changes its sign; of
        results that end before their type does, where they begin to rise or end to."""
        bends = [index for index, node in enumerate(chain) if node.op_type in BENT]
        if not bends:
            return np.full(channels, grid.low)
        if len(bends) > 1 or chain[bends[0]].op_type in ("Clip", "Max", "Min"):
            return clip_steps(grid.integers, table, bits, chain[bends[-1]])
        entering = chain[: bends[0]]
        values = grid.integers * grid.scale
        before = (
            evaluate_chain(model, entering, values, channels)
            if entering
            else np.broadcast_to(values[:, None], (len(values), channels))
        )
        positive = before >= 0
        falling = positive[0] & ~positive[-1]
        return grid.low + np.where(falling, positive.sum(axis=0), (~positive).sum(axis=0))


def clip_steps(x: np.ndarray, table: np.ndarray, bits: int, node) -> np.ndarray:
    """Return the least value of the upper line of each channel: of results [K, C] that keep one value at one end, which
    is no end of their type, where that value ends.

    Raises:
        PassError: they do so at both ends, which are three lines.
    """
    least, most = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    steps = []
    for column in table.T:
        flat_below = int((column == column[0]).cumprod().sum()) if column[0] not in (least, most) else 0
        flat_above = int((column[::-1] == column[-1]).cumprod().sum()) if column[-1] not in (least, most) else 0
        if 1 < flat_below < len(x) and flat_above > 1:
            raise refuse(node, "both of its ends are no ends of the quantizer's range", "clip by the quantizer")
        if flat_below == len(x):
            steps.append(x[0])
        else:
            steps.append(x[flat_below] if flat_below > 1 or flat_above <= 1 else x[len(x) - flat_above])
    return np.array(steps)


def fit_lines(x: np.ndarray, table: np.ndarray, steps: np.ndarray, bits: int, node):
    """Return ((down, down_offset, up, up_offset), shift), each [C], with results ``table`` [K, C] on all values x [K].

    The results are saturated to ``bits``; ``steps`` [C] are the least values of the upper lines.

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


def line_results(x: np.ndarray, steps: np.ndarray, lines, shift: int, bits: int) -> np.ndarray:
    """Return the results [K, C] of two lines a channel on the values x [K], saturated to ``bits``."""
    down, down_offset, up, up_offset = lines
    above = x[:, None] >= steps
    product = np.where(above, up, down) * x[:, None] + np.where(above, up_offset, down_offset)
    return saturate(product >> shift, bits)


def nearest_lines(x: np.ndarray, table: np.ndarray, steps: np.ndarray, bits: int):
    """Return ((down, down_offset, up, up_offset), shift) of the straight lines nearest (least squares) to ``table``
    [K, C] where it is not saturated."""
    inside = (table > -(1 << (bits - 1))) & (table < (1 << (bits - 1)) - 1)
    above = x[:, None] >= steps
    lines = []
    for part in (~above, above):
        fits = [_line(x[rows], table[rows, c], table[part[:, c], c]) for c, rows in enumerate((part & inside).T)]
        slope, offset = np.array(fits).T
        lines += [np.rint(slope * (1 << NEAREST_SHIFT)), np.rint((offset + 0.5) * (1 << NEAREST_SHIFT))]
    return tuple(line.astype(np.int64) for line in lines), NEAREST_SHIFT


def _line(x: np.ndarray, y: np.ndarray, saturated: np.ndarray) -> tuple[float, float]:
    if len(x) > 1:
        return tuple(np.polyfit(x, y, 1))
    return 0.0, float(y[0] if len(y) else saturated[0] if len(saturated) else 0)
