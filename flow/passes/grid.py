"""Which values a tensor of a QONNX graph can take: a grid of integers times a scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from flow.graph import stream_of

TRANSPARENT = ("Flatten", "Pad", "Reshape", "Identity", "Slice", "Concat", "MaxPool")


@dataclass(frozen=True)
class Grid:
    """Values ``scale * i`` for the integers ``low <= i <= high`` (bipolar: only -1 and +1)."""

    scale: float
    low: int
    high: int
    bipolar: bool = False

    @property
    def integers(self) -> np.ndarray:
        """All integers i of the grid, ascending."""
        return np.array([-1, 1]) if self.bipolar else np.arange(self.low, self.high + 1)

    @property
    def bits(self) -> int:
        """Bits of a signed integer that holds the grid; 1 if bipolar."""
        if self.bipolar:
            return 1
        return max((-self.low - 1).bit_length() if self.low < 0 else 0, self.high.bit_length()) + 1

    @property
    def fraction(self) -> int | None:
        """f with scale == 2^-f, or None if the scale is no power of two."""
        mantissa, exponent = np.frexp(self.scale)
        return 1 - int(exponent) if mantissa == 0.5 else None


def grid_of(model: ModelWrapper, tensor: str) -> Grid | None:
    """Return the grid of ``tensor``, or None where it is not known to have one, with one scale."""
    node = model.find_producer(tensor)
    if node is None:
        return None
    if node.op_type == "BipolarQuant":
        scale = model.get_initializer(node.input[1])
        one = scale is not None and scale.size == 1
        return Grid(float(scale.reshape(())), -1, 1, bipolar=True) if one else None
    if node.op_type == "Quant":
        return _quant_grid(model, node)
    if node.op_type == "FromStream":
        stream = stream_of(model, node.input[0])
        scale = float(node.attribute[[a.name for a in node.attribute].index("scale")].f)
        low = -(1 << (stream.bits - 1)) if stream.signed else 0
        high = (1 << (stream.bits - stream.signed)) - 1
        return Grid(scale, -1, 1, True) if stream.bipolar else Grid(scale, low, high)
    if node.op_type == "GroupVote":
        return Grid(1.0, -1, 1, bipolar=True)
    if node.op_type in TRANSPARENT:
        grid = grid_of(model, node.input[0])
        return grid if node.op_type != "Pad" or grid is None or _pads_on(grid, model, node) else None
    return None


def _pads_on(grid: Grid, model: ModelWrapper, pad) -> bool:
    """Return whether a Pad surrounds its map with values of ``grid``: 0 is none of -1 and +1."""
    value = model.get_initializer(pad.input[2]) if len(pad.input) > 2 and pad.input[2] else np.zeros(1)
    if value is None:
        return False
    units = np.asarray(value, np.float64) / grid.scale
    return bool(np.isclose(units, np.rint(units), atol=1e-4).all() and np.isin(np.rint(units), grid.integers).all())


def _quant_grid(model: ModelWrapper, node) -> Grid | None:
    scale, zero, bits = (model.get_initializer(name) for name in node.input[1:4])
    if any(value is None or value.size != 1 for value in (scale, zero, bits)) or float(zero.reshape(())) != 0:
        return None
    attributes = {a.name: a.i for a in node.attribute}
    bits, signed, narrow = int(bits.reshape(())), attributes.get("signed", 1), attributes.get("narrow", 0)
    if bits == 1 and signed:  # qonnx takes it as -1 and +1
        return Grid(float(scale.reshape(())), -1, 1, bipolar=True)
    high = (1 << (bits - signed)) - 1 - (narrow if not signed else 0)
    low = -(1 << (bits - 1)) + narrow if signed else 0
    return Grid(float(scale.reshape(())), low, high)
