"""im2col, shared by the nodes that look at windows of a feature map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import HardwareOp
from .errors import NodeError
from .windows import ORDERS, Pair, Sides, Windows, ordered, pair, reach, sides, windows_along


def taps_together(order: str, kernel: int | Pair) -> int:
    """Return how many taps of a channel stand side by side in a window, and so share a beat.

    Raises:
        NodeError: there is no such order.
    """
    if order not in ORDERS:
        raise NodeError(f"order {order!r} is none of {', '.join(ORDERS)}")
    rows, columns = pair(kernel)
    return {"row": columns, "channel": rows * columns}.get(order, 1)


def weight_rows(weights: np.ndarray, order: str = "tap", block: int = 0) -> np.ndarray:
    """Return weights [O, C, KH, KW] as rows [O, KH*KW*C], elements in the ``order`` of a window (see `ordered`)."""
    return ordered(weights, order, block)


@dataclass(kw_only=True)
class Window(HardwareOp):
    """Windows of the input map. ``pad_value`` fills the taps outside the map.

    ``kernel``, ``stride`` and ``dilation`` are (rows, columns), and ``padding`` is (top, left, bottom, right), as
    ONNX's Conv has them; one number stands for all of them.
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Sides = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    pad_value: int = 0

    def __post_init__(self):
        self.kernel, self.stride, self.dilation = pair(self.kernel), pair(self.stride), pair(self.dilation)
        self.padding = sides(self.padding)

    @property
    def taps(self) -> int:
        """Taps of a channel in a window."""
        return self.kernel[0] * self.kernel[1]

    @property
    def reach(self) -> Pair:
        """Rows and columns from the first tap of a window to its last one, both counted."""
        return reach(self.kernel, self.dilation)

    @property
    def out_size(self) -> Pair:
        """Rows and columns of output pixels."""
        return windows_along((self.height, self.width), self.kernel, self.stride, self.padding, self.dilation)

    @property
    def out_height(self) -> int:
        """Rows of output pixels."""
        return self.out_size[0]

    @property
    def out_width(self) -> int:
        """Columns of output pixels."""
        return self.out_size[1]

    @property
    def out_pixels(self) -> int:
        """Output pixels a frame."""
        return self.out_height * self.out_width

    @property
    def zero_padded(self) -> bool:
        """Whether taps outside a bipolar map are 0, which is no bipolar value."""
        return self.bits == 1 and any(self.padding) and self.pad_value == 0

    @property
    def single_taps(self) -> bool:
        """Whether its windows are the pixels of the map: 1x1 windows of stride 1."""
        return self.kernel == self.stride == (1, 1) and not any(self.padding)

    def own_map(self, x: np.ndarray) -> np.ndarray:
        """Return a map as the node takes it: one pixel may have all elements of the stream as its channels."""
        shape = len(x), self.height, self.width, self.channels
        return x if x.shape == shape else x.reshape(shape)

    @property
    def square(self) -> bool:
        """Whether one number says each of kernel, stride and padding, and there is no dilation."""
        return len({*self.kernel}) == len({*self.stride}) == len({*self.padding}) == 1 and self.dilation == (1, 1)

    def windows(self, x: np.ndarray, order: str = "tap", block: int = 0) -> Windows:
        """Return the windows of [N, H, W, C], whose elements [N, OH, OW, KH*KW*C] are in ``order`` (see `ordered`)."""
        return Windows(x, self.kernel, self.stride, self.padding, self.pad_value, order, self.dilation, block)
