"""Pixels that a layer reads without a quantizer: their own 256 values are the grid."""

from __future__ import annotations

import numpy as np

from flow.analysis import scaled_tensors
from flow.analysis.attributes import attributes_of
from flow.passes.grid import grid_of

from .edit import Normalisation

PIXEL_BITS = 8
ZERO_OFF_GRID = 1e-3  # steps


class PixelGrids(Normalisation):
    """A layer that reads constants of the pixels gets the 8-bit quantizer that changes none of them, with an offset.

    Not where it pads with zeros and no pixel is 0: that border is on no grid of 8 bits.
    """

    kinds = ("Conv", "MatMul")

    def rewrite(self, graph, node):
        model, tensor = graph.model, node.input[0]
        padded = any(attributes_of(node).get("pads", ()))
        producer = model.find_producer(tensor)
        while producer is not None and producer.op_type in ("Flatten", "Pad"):
            padded |= producer.op_type == "Pad"
            tensor = producer.input[0]
            producer = model.find_producer(tensor)
        if not _reads_pixels(model, tensor):
            return False
        known = scaled_tensors(model, (0.0, 255.0)).get(tensor)
        if known is None or grid_of(model, tensor) is not None or known.scale.size > 1 or known.scale.flat[0] <= 0:
            return False
        if np.ptp(known.offset):
            return False  # each channel has a grid of its own
        scale, offset = float(known.scale.flat[0]), float(known.offset.flat[0])
        if padded and abs(offset / scale - round(offset / scale)) > ZERO_OFF_GRID:
            return False
        centre = offset + scale * 2 ** (PIXEL_BITS - 1)
        readers = [reader for reader in model.graph.node if tensor in reader.input]
        first = type(graph)(model, readers[0])
        centred = first.before("Add", [tensor, first.constant(np.float32(-centre))])
        quantized = first.quant(centred, scale, PIXEL_BITS)
        output = first.before("Add", [quantized, first.constant(np.float32(centre))])
        for reader in readers:
            for position, name in enumerate(reader.input):
                if name == tensor:
                    reader.input[position] = output
        return True


def _reads_pixels(model, tensor: str) -> bool:
    while tensor != model.graph.input[0].name:
        node = model.find_producer(tensor)
        if node is None or node.op_type not in ("Add", "Sub", "Mul", "Div", "Flatten", "BatchNormalization"):
            return False
        tensor = next(name for name in node.input if model.get_initializer(name) is None)
    return True
