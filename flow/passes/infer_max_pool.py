from flow.graph import is_hardware

from .grid import grid_of
from .rewrite import Rewrite, Rewriter, refuse


class InferMaxPool(Rewrite):
    """A 2x2 MaxPool of stride 2 on a quantized tensor becomes MaxPool; on signs it is an OR."""

    def rewrite(self, model, pool):
        if pool.op_type != "MaxPool" or is_hardware(pool):
            return False
        grid = grid_of(model, pool.input[0])
        if grid is None:
            raise refuse(pool, "its input is not quantized")
        attributes = {a.name: list(a.ints) for a in pool.attribute if a.ints}
        height, width = model.get_tensor_shape(pool.input[0])[2:]
        plain = attributes.get("kernel_shape") == attributes.get("strides") == [2, 2] and not any(
            attributes.get("pads", [])
        )
        if not plain or height % 2 or width % 2:
            raise refuse(pool, f"{attributes} on {height}x{width}: only 2x2 of stride 2 on even sizes is mapped")
        rewriter = Rewriter(model)
        stream = rewriter.to_stream(pool.input[0], grid.scale)
        stream = rewriter.node("MaxPool", stream, bits=grid.bits)
        rewriter.from_stream(stream, grid.scale, pool.output[0])
        rewriter.replace([pool])
        return True
