from flow.graph import consumers

from .grid import grid_of
from .rewrite import Rewrite, Rewriter, refuse


class InferPools(Rewrite):
    """Average pools with the truncating Quant after them become AvgPool (2x2) and GlobalPool."""

    def rewrite(self, model, pool):
        if pool.op_type not in ("AveragePool", "GlobalAveragePool"):
            return False
        grid = grid_of(model, pool.input[0])
        following = consumers(model, pool.output[0])
        if grid is None or len(following) != 1 or following[0].op_type != "Quant":
            raise refuse(pool, "its input or its output is not quantized")
        quant = following[0]
        rounding = {a.name: a.s for a in quant.attribute}.get("rounding_mode", b"ROUND")
        if grid_of(model, quant.output[0]) != grid or rounding != b"FLOOR":
            raise refuse(quant, "a pool must keep its input's scale and width and truncate (rounding_mode FLOOR)")
        kind = self._kind(model, pool)
        rewriter = Rewriter(model)
        stream = rewriter.to_stream(pool.input[0], grid.scale)
        stream = rewriter.node(kind, stream, bits=grid.bits)
        rewriter.from_stream(stream, grid.scale, quant.output[0])
        rewriter.replace([pool, quant])
        return True

    @staticmethod
    def _kind(model, pool):
        height, width = model.get_tensor_shape(pool.input[0])[2:]
        attributes = {a.name: list(a.ints) for a in pool.attribute if a.ints}
        kernel = attributes.get("kernel_shape", [height, width])
        if pool.op_type == "GlobalAveragePool" or kernel == [height, width]:
            if (height * width) & (height * width - 1):
                raise refuse(pool, f"{height}x{width} pixels: the mean is a shift only over a power of two")
            return "GlobalPool"
        plain = kernel == [2, 2] and attributes.get("strides") == [2, 2] and not any(attributes.get("pads", []))
        if not plain or height % 2 or width % 2:
            raise refuse(pool, f"kernel {kernel} on {height}x{width}: only 2x2 of stride 2 on even sizes is mapped")
        return "AvgPool"
