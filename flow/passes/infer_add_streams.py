from flow.graph import consumers

from .grid import grid_of
from .rewrite import Rewrite, Rewriter, refuse


class InferAddStreams(Rewrite):
    """Add of two tensors on one grid and the saturating Quant after it become AddStreams."""

    def rewrite(self, model, add):
        if add.op_type != "Add" or any(model.get_initializer(name) is not None for name in add.input):
            return False
        grids = [grid_of(model, name) for name in add.input]
        following = consumers(model, add.output[0])
        if None in grids or any(grid.bipolar for grid in grids):
            raise refuse(add, "adds tensors that are not fixed point")
        if len(following) != 1 or following[0].op_type != "Quant":
            raise refuse(add, "its sum is not quantized: put a Quant with the residual's scale behind it")
        quant = following[0]
        result = grid_of(model, quant.output[0])
        if result is None:
            raise refuse(quant, "its grid has several scales or a zero point", "use one scale and no zero point")
        least, largest = -(1 << (result.bits - 1)), (1 << (result.bits - 1)) - 1
        if result.high != largest or (result.low != least and sum(grid.low for grid in grids) < result.low):
            raise refuse(
                quant, f"its integers are {result.low}..{result.high}, not {least}..{largest}", "use all of them"
            )
        if not grids[0].scale == grids[1].scale == result.scale or max(g.bits for g in grids) > result.bits:
            raise refuse(add, f"its scales {grids[0].scale}, {grids[1].scale} and {result.scale} differ")
        rewriter = Rewriter(model)
        streams = [rewriter.to_stream(name, result.scale) for name in add.input]
        rewriter.from_stream(rewriter.node("AddStreams", streams, bits=result.bits), result.scale, quant.output[0])
        rewriter.replace([add, quant])
        return True
