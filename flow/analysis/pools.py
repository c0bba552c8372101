"""How many pixels the means of an average pool are over."""

from __future__ import annotations

import math

import numpy as np
from onnx import NodeProto

from flow.nodes.windows import windows_along

from .attributes import attributes_of


def taps_counted(pool: NodeProto, size: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the taps that a mean counts, of each row and of each column of outputs: it is over their product.

    ``pool``: an AveragePool with pads in numbers and without ceil_mode, or a GlobalAveragePool; ``size``: rows and
    columns of the map that it reads.
    """
    given = attributes_of(pool)
    kernel = given.get("kernel_shape", size)
    strides, dilations = (given.get(name, [1, 1]) for name in ("strides", "dilations"))
    pads = given.get("pads", [0] * 4)
    counted = []
    for side, outputs in enumerate(windows_along(size, kernel, strides, pads, dilations)):
        first = np.arange(outputs)[:, None] * strides[side] - pads[side]
        taps = first + np.arange(kernel[side]) * dilations[side]
        inside = (taps >= 0) & (taps < size[side]) | bool(given.get("count_include_pad", 0))
        counted.append(inside.sum(axis=1))
    return counted[0], counted[1]


def common_count(counted: tuple[np.ndarray, np.ndarray]) -> int:
    """Return the least number of which every mean is a whole multiple of one part: the pixels, where all count as
    many."""
    return math.prod(int(np.lcm.reduce(side)) for side in counted)
