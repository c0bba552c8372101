"""im2col, shared by the nodes that look at windows of a feature map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import HardwareOp
from .errors import NodeError
from .windows import ORDERS, Windows


def taps_together(order: str, kernel: int) -> int:
    """Return how many taps of a channel stand side by side in a window, and so share a beat.

    Raises:
        NodeError: there is no such order.
    """
    if order not in ORDERS:
        raise NodeError(f"order {order!r} is none of {', '.join(ORDERS)}")
    return {"tap": 1, "row": kernel, "channel": kernel**2}[order]


def weight_rows(weights: np.ndarray, order: str = "tap") -> np.ndarray:
    """Return weights [O, C, K, K] as rows [O, K*K*C], elements in the ``order`` of a window."""
    return weights.transpose(0, *(axis - 2 for axis in ORDERS[order])).reshape(len(weights), -1)


@dataclass(kw_only=True)
class Window(HardwareOp):
    """Square windows of the input map, the same padding on every side. ``pad_value`` fills the taps outside the map."""

    kernel: int
    stride: int = 1
    padding: int = 0
    pad_value: int = 0

    @property
    def out_height(self) -> int:
        """Rows of output pixels."""
        return (self.height + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def out_width(self) -> int:
        """Columns of output pixels."""
        return (self.width + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def out_pixels(self) -> int:
        """Output pixels a frame."""
        return self.out_height * self.out_width

    @property
    def zero_padded(self) -> bool:
        """Whether taps outside a bipolar map are 0, which is no bipolar value."""
        return self.bits == 1 and self.padding > 0 and self.pad_value == 0

    def windows(self, x: np.ndarray, order: str = "tap") -> Windows:
        """Return the windows of [N, H, W, C], whose elements are [N, OH, OW, K*K*C].

        ``order`` of a window's elements, the last one fastest: "tap" (row, column, channel), "row"
        (row, channel, column: the taps of a kernel row stand together) or "channel" (channel, row, column).
        """
        return Windows(x, self.kernel, self.stride, self.padding, self.pad_value, order)

    def window_parameters(self) -> dict[str, int]:
        """Return the parameters that RTL modules and HLS headers of windows have in common."""
        return {"Kernel": self.kernel, "Stride": self.stride, "Padding": self.padding}
