from flow.graph import is_hardware

from .grid import grid_of
from .rewrite import Rewrite, Rewriter, refuse
from .window import before_pad, pool_window


class InferMaxPool(Rewrite):
    """A MaxPool on a quantized tensor becomes MaxPool where its window is 2x2 of stride 2 on even sizes, else
    SlidingWindow and ReduceWindow; on signs both are an OR."""

    def rewrite(self, model, pool):
        if pool.op_type != "MaxPool" or is_hardware(pool):
            return False
        grid = grid_of(model, before_pad(model, pool))
        if grid is None:
            raise refuse(pool, "its input is not quantized", "put a quantizer in front of it")
        channels, *size = model.get_tensor_shape(pool.input[0])[1:]
        nodes, source, window, pad_value = pool_window(model, pool, size)
        least = -1 if grid.bipolar else -(1 << grid.bits - 1)
        pad = least if source == pool.input[0] else pad_value / grid.scale  # nothing is less than the least
        if pad != round(pad) or not least <= pad <= grid.high or (grid.bipolar and pad == 0):
            raise refuse(pool, f"it reads a map padded with {pad_value:g}", "pad in the pool itself")
        rewriter = Rewriter(model)
        stream = rewriter.to_stream(source, grid.scale)
        halves = window["kernel"] == window["stride"] == (2, 2) and window["dilation"] == (1, 1)
        if halves and not any(window["padding"]) and not any(side % 2 for side in size):
            stream = rewriter.node("MaxPool", stream, bits=grid.bits)
        else:
            order = {"order": "block", "pad_value": round(pad)}
            stream = rewriter.node("SlidingWindow", stream, bits=grid.bits, **order, **window)
            taps = window["kernel"][0] * window["kernel"][1]
            stream = rewriter.node(
                "ReduceWindow", stream, bits=grid.bits, features=channels, taps=taps, reduction="max"
            )
        rewriter.from_stream(stream, grid.scale, pool.output[0])
        rewriter.replace(nodes)
        return True
