import numpy as np

from .chain import chain_end, chain_to_quantizer, evaluate_chain
from .forms import exact_form, many_thresholds, nearest_form
from .grid import grid_of
from .response import Response
from .rewrite import APPROXIMATIONS, Rewrite, Rewriter, read_notes, refuse, write_notes

PIXEL_BITS = 8


class InferPixelOffset(Rewrite):
    """Image normalisation up to its quantizer becomes PixelOffset, or ValueTable.

    By evaluation on the 256 values of a pixel: PixelOffset where the quantizer's integer is ``pixel - 128``; where
    channels differ, PixelOffset and the cheapest form of its 256 values.
    """

    def rewrite(self, model, node):
        image = model.graph.input[0].name
        if image not in node.input or node.op_type == "ToStream":
            return False
        chain = chain_to_quantizer(model, node)
        if chain is None or len(model.find_consumers(image)) != 1:
            raise refuse(
                node,
                f"the image does not run through constants into one quantizer: {chain_end(model, node)}",
                "quantize the input to 8 bits first",
            )
        grid = grid_of(model, chain[-1].output[0])
        if grid is None:
            raise refuse(chain[-1], "its grid has several scales or a zero point", "quantize the input with one scale")
        pixels = np.arange(256)
        channels = model.get_tensor_shape(image)[1]
        integers = evaluate_chain(model, chain, pixels, channels) / grid.scale
        rewriter = Rewriter(model)
        stream = rewriter.to_stream(image, 1.0)
        bits = max(2, grid.bits)
        if (integers != integers[:, :1]).any():
            form = self._by_channel(model, chain, np.rint(integers).astype(np.int64), bits)
            stream = rewriter.node("PixelOffset", stream, p=1)
            stream = rewriter.node(form.kind, stream, form.constants, bits=PIXEL_BITS, **form.attributes)
        elif np.array_equal(integers[:, 0], pixels - 128):
            stream = rewriter.node("PixelOffset", stream, p=1)
        else:
            stream = rewriter.node("ValueTable", stream, [integers[:, 0]], bits=PIXEL_BITS, unsigned=1, out_bits=bits)
        if grid.bipolar:
            stream = rewriter.node("SignThreshold", stream, [np.zeros(channels, np.int64)], bits=2)
        rewriter.from_stream(stream, grid.scale, chain[-1].output[0])
        rewriter.replace(chain)
        return True

    @staticmethod
    def _by_channel(model, chain, integers, bits):
        """Return the form with the results [256, C] of pixels less 128; two lines a channel may differ by 1."""
        response = Response.walked(-128, 127, 1, integers)
        found = (response, model, chain, lambda pixels: pixels + 128.0)
        form = exact_form(*found, PIXEL_BITS, bits)
        if form is not None:
            return form
        nearest = nearest_form(*found, bits)
        if nearest.largest > 1 and (many := many_thresholds(response, PIXEL_BITS, bits)) is not None:
            return many
        if nearest.largest > 1:
            raise refuse(chain[-1], "its channels quantize the same pixel by no straight lines", "normalise all alike")
        write_notes(model, APPROXIMATIONS, {**read_notes(model, APPROXIMATIONS), chain[-1].name: nearest.note()})
        return nearest.form
