"""im2col, shared by the nodes that look at windows of a feature map."""

import numpy as np

# what follows the row of taps: axes of [N, OH, OW, C, KH, KW] in the order in which a window's elements are sent
ORDERS = {"tap": (4, 5, 3), "row": (4, 3, 5), "channel": (3, 4, 5)}


class Window:
    """Geometry of a node with the attributes kernel, stride, padding, pad_value and the size of its input map.

    Square windows, the same padding on every side. ``pad_value`` fills the taps outside the map.
    """

    @property
    def out_height(self) -> int:
        return (self.height + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def out_width(self) -> int:
        return (self.width + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def out_pixels(self) -> int:
        return self.out_height * self.out_width

    def windows(self, x: np.ndarray, order: str = "tap") -> np.ndarray:
        """[N, H, W, C] to [N, OH, OW, K*K*C].

        ``order`` of a window's elements, the last one fastest: "tap" (row, column, channel), "row"
        (row, channel, column: the taps of a kernel row stand together) or "channel" (channel, row, column).
        """
        p, s = self.padding, self.stride
        padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)), constant_values=self.pad_value)
        views = np.lib.stride_tricks.sliding_window_view(padded, (self.kernel, self.kernel), axis=(1, 2))[:, ::s, ::s]
        return views.transpose(0, 1, 2, *ORDERS[order]).reshape(len(x), self.out_height, self.out_width, -1)
