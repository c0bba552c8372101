"""Quantizers that change no value: they say on which grid a tensor is, where hardware needs to know it."""

from __future__ import annotations

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.general import SortGraph
from qonnx.transformation.infer_shapes import InferShapes

from flow.analysis import Scaled, scaled_tensors
from flow.analysis.attributes import attributes_of
from flow.analysis.pools import common_count, taps_counted
from flow.graph import consumers
from flow.nodes.stream import signed_bits
from flow.passes.chain import chain_to_quantizer
from flow.passes.grid import Grid, grid_of

from .edit import QUANT_DOMAIN, Editor

WIDEST = 16  # bits of a stream's element
WIDEST_BEND = 11  # bits of sums whose PReLU is evaluated on every value
LAYERS = ("Conv", "MatMul")
BENDS = ("PRelu", "LeakyRelu")
MEANS = ("AveragePool", "GlobalAveragePool")


class ExactGrids(Transformation):
    """A tensor of known scale gets the Quant of its grid where a sum or a pool reads it.

    The quantizers are as wide as the tensor's interval, so they change nothing. A mean over n pixels is on a grid that
    is n times as fine: what leaves the pool is the sum.
    """

    def apply(self, model):
        handlers = {
            "Add": self._add,
            "MaxPool": self._max_pool,
            **dict.fromkeys(MEANS, self._mean),
            **dict.fromkeys(BENDS, self._bend),
        }
        for output in [node.output[0] for node in model.graph.node]:
            node = model.find_producer(output)  # sorting copies nodes
            if node is not None and node.op_type in handlers and not node.domain:
                self.found = scaled_tensors(model)
                if handlers[node.op_type](model, node):
                    for refresh in (InferShapes(), SortGraph()):
                        model = model.transform(refresh, make_deepcopy=False, cleanup=False)
        return model, False

    def _on_grid(self, tensor: str) -> Scaled | None:
        """Return what is known of ``tensor`` if it has one scale and its integers include 0, else None."""
        known = self.found.get(tensor)
        known = known.centred() if known is not None else None
        if known is None or np.ptp(known.scale) or known.scale.flat[0] <= 0:
            return None
        return known

    def _require(self, model, node, tensor: str, scale: float, bits: int, everywhere: bool = False) -> bool:
        """Let ``node`` read the Quant of ``tensor``; with ``everywhere`` all its readers."""
        grid = _grid(model, tensor)
        if grid is not None and not grid.bipolar and np.isclose(grid.scale, scale, rtol=1e-7) and grid.bits == bits:
            return False
        editor = Editor(model, node)
        readers = consumers(model, tensor) if everywhere else [node]
        output = editor.quant(tensor, scale, bits)
        for reader in readers:
            for position, name in enumerate(reader.input):
                if name == tensor:
                    reader.input[position] = output
        return True

    def _add(self, model, node):
        if any(model.get_initializer(name) is not None for name in node.input):
            return False
        known = [self._on_grid(name) for name in node.input]
        if None in known:
            return False
        scales = [float(k.scale.flat[0]) for k in known]
        fine = min(scales)
        ratios = [scale / fine for scale in scales]
        if not np.allclose(ratios, np.rint(ratios), rtol=1e-6):
            return False
        ends = [[np.rint(r) * k.low, np.rint(r) * k.high] for r, k in zip(ratios, known)]
        bits = [max(2, signed_bits(*end)) for end in ends]
        total = signed_bits(
            *(sum(float(end[side].min() if side == 0 else end[side].max()) for end in ends) for side in (0, 1))
        )
        total = max(total, *bits)
        if total > WIDEST:
            return False
        readers = consumers(model, node.output[0])
        grid = _grid(model, readers[0].output[0]) if len(readers) == 1 and readers[0].op_type == "Quant" else None
        fits = grid is not None and np.isclose(grid.scale, fine, rtol=1e-7) and grid.bits >= max(bits)
        fits = fits and attributes_of(readers[0]).get("rounding_mode", b"ROUND") in (b"ROUND", b"FLOOR")
        width = grid.bits if fits else total  # of both streams and their sum
        changed = False
        for name in list(node.input):
            changed |= self._require(model, node, name, fine, width, everywhere=_grid(model, name) is None)
        if not fits:
            self._behind(model, node, fine, total)
        return changed or not fits

    @staticmethod
    def _behind(model, node, scale: float, bits: int, rounding: str = "ROUND") -> None:
        editor, output = Editor(model, node), node.output[0]
        inner = editor.behind(output)
        names = [editor.constant(np.float32(value)) for value in (scale, 0.0, bits)]
        editor.after("Quant", [inner, *names], output, domain=QUANT_DOMAIN, signed=1, narrow=0, rounding_mode=rounding)

    def _max_pool(self, model, node):
        known, tensor = self._on_grid(node.input[0]), node.input[0]
        if known is None or _grid(model, tensor) is not None:
            return False
        bits = max(2, signed_bits(known.low, known.high))
        return bits <= WIDEST and self._require(model, node, tensor, float(known.scale.flat[0]), bits, everywhere=True)

    def _mean(self, model, pool):
        tensor, shape = pool.input[0], model.get_tensor_shape(pool.input[0])
        padded = model.find_producer(tensor)
        source = padded.input[0] if padded is not None and padded.op_type == "Pad" else tensor
        known = self._on_grid(tensor)
        if known is None:
            return False
        pixels = common_count(taps_counted(pool, shape[2:]))
        grid = _grid(model, source)
        bits = max(2, signed_bits(known.low, known.high))
        changed = False
        if grid is None and source == tensor and bits <= WIDEST:
            changed = self._require(model, pool, tensor, float(known.scale.flat[0]), bits, everywhere=True)
        sums = signed_bits(pixels * known.low, pixels * known.high)
        readers = consumers(model, pool.output[0])
        if sums > WIDEST or (len(readers) == 1 and chain_to_quantizer(model, readers[0]) is not None):
            return changed
        self._behind(model, pool, float(known.scale.flat[0]) / pixels, sums)
        return True

    def _bend(self, model, node):
        tensor = node.input[0]
        producer = model.find_producer(tensor)
        while producer is not None and producer.op_type in ("BatchNormalization", "Mul", "Add", "Sub", "Div", "Neg"):
            variables = [name for name in producer.input if model.get_initializer(name) is None]
            if len(variables) != 1 or len(consumers(model, tensor)) != 1:
                return False
            tensor = variables[0]
            producer = model.find_producer(tensor)
        if producer is None or producer.op_type not in LAYERS:
            return False
        known = self._on_grid(tensor)
        bits = max(2, signed_bits(known.low, known.high)) if known is not None else WIDEST
        if bits > WIDEST_BEND:
            return False
        readers = consumers(model, tensor)
        return self._require(model, readers[0], tensor, float(known.scale.flat[0]), bits, everywhere=True)


def _grid(model: ModelWrapper, tensor: str) -> Grid | None:
    try:
        return grid_of(model, tensor)
    except ValueError:
        return None
