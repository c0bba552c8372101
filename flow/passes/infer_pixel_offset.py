import numpy as np
from qonnx.transformation.base import Transformation

from .chain import chain_input, chain_to_quantizer, evaluate_chain
from .grid import grid_of
from .rewrite import Rewriter, refuse


class InferPixelOffset(Transformation):
    """Image normalisation up to its quantizer becomes PixelOffset.

    Holds where the quantizer's integer is ``pixel - 128`` for each of the 256 pixel values in every channel.
    """

    def apply(self, model):
        image = model.graph.input[0].name
        users = model.find_consumers(image) or []
        if len(users) != 1 or users[0].op_type == "ToStream":
            return model, False
        chain = chain_to_quantizer(model, users[0])
        if chain is None or chain_input(model, chain) != image:
            raise refuse(users[0], "the image does not run through constants into a quantizer")
        grid = grid_of(model, chain[-1].output[0])
        pixels = np.arange(256)
        channels = model.get_tensor_shape(image)[1]
        integers = evaluate_chain(model, chain, pixels, channels) / grid.scale
        if not np.array_equal(integers, np.broadcast_to(pixels[:, None] - 128, integers.shape)):
            raise refuse(chain[-1], "the quantized image is not pixel - 128")
        rewriter = Rewriter(model)
        stream = rewriter.node("PixelOffset", rewriter.to_stream(image, 1.0), p=1)
        rewriter.from_stream(stream, grid.scale, chain[-1].output[0])
        rewriter.replace(chain)
        return model, False
