import numpy as np

from .grid import grid_of
from .rewrite import Rewrite, Rewriter, refuse


class InferChannels(Rewrite):
    """A strided Slice of channels becomes Sample, a Concat of a tensor with itself becomes RepeatChannels."""

    def rewrite(self, model, node):
        kind = {"Slice": self._sample, "Concat": self._repeat}.get(node.op_type)
        grid = grid_of(model, node.input[0]) if kind else None
        if grid is None:
            return False
        name, attributes = kind(model, node)
        rewriter = Rewriter(model)
        stream = rewriter.to_stream(node.input[0], grid.scale)
        stream = rewriter.node(name, stream, bits=grid.bits, **attributes)
        rewriter.from_stream(stream, grid.scale, node.output[0])
        rewriter.replace([node])
        return True

    @staticmethod
    def _sample(model, node):
        starts, ends, axes, steps = (
            model.get_initializer(node.input[i]) if i < len(node.input) and node.input[i] else None for i in range(1, 5)
        )
        channels = model.get_tensor_shape(node.input[0])[1]
        values = [np.ravel([] if v is None else v).tolist() for v in (starts, axes, steps)]
        if values[:2] != [[0], [1]] or not values[2] or np.ravel(ends)[0] < channels or channels % values[2][0]:
            raise refuse(node, "only every r-th channel from the first on is mapped", "compute every channel")
        ratio = int(values[2][0])
        return "Sample", {"ratio": ratio, "p": ratio}

    @staticmethod
    def _repeat(model, node):
        axis = next(a.i for a in node.attribute if a.name == "axis")
        if axis != 1 or set(node.input) != {node.input[0]}:
            raise refuse(node, "only channels behind themselves are mapped")
        return "RepeatChannels", {"times": len(node.input)}
