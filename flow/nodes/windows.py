"""im2col that is put off: the node that takes the windows of a map chooses their form, integers or packed bits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

# what follows the row of taps: axes of [N, OH, OW, C, KH, KW] in the order in which a window's elements are sent
ORDERS = {"tap": (4, 5, 3), "row": (4, 3, 5), "channel": (3, 4, 5)}
ELEMENTS = 1 << 22  # of the windows that exist at a time: 32 MB in float64


@dataclass(frozen=True)
class Windows:
    """Square windows [N, OH, OW, K*K*C] of a map [N, H, W, C], the taps outside of which read ``pad_value``."""

    map: np.ndarray
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    pad_value: int = 0
    order: str = "tap"

    @property
    def size(self) -> int:
        """Elements of a window."""
        return self.kernel**2 * self.map.shape[3]

    @property
    def out_height(self) -> int:
        return (self.map.shape[1] + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def out_width(self) -> int:
        return (self.map.shape[2] + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def masked(self) -> bool:
        """Whether some taps are 0, if the map holds signs."""
        return self.padding > 0 and self.pad_value == 0

    def parts(self) -> Iterator[Windows]:
        """Yield the windows of a few images at a time, so that what is computed from them fits a board's memory."""
        step = max(1, ELEMENTS // max(1, self.out_height * self.out_width * self.size))
        for start in range(0, len(self.map), step):
            yield replace(self, map=self.map[start : start + step])

    def elements(self, kind: type | np.dtype | None = None) -> np.ndarray:
        """Return the windows themselves, of the type ``kind`` or of the map's."""
        return self._gather(self.map if kind is None else self.map.astype(kind), self.pad_value)

    def signs(self) -> np.ndarray:
        """Return uint8 [N * OH * OW, ceil(n / 8)]: a bit an element, 1 where it is above 0, and 0 after the last."""
        if self.order == "tap" and self.map.shape[3] % 8 == 0:  # whole bytes are gathered, an eighth of the elements
            words = np.packbits(self.map > 0, axis=-1)
            if words.shape[3] % 8 == 0:
                words = words.view(np.uint64)
            pad = np.iinfo(words.dtype).max if self.pad_value > 0 else 0
            gathered = self._gather(words, pad)
            return np.ascontiguousarray(gathered).view(np.uint8).reshape(-1, self.size // 8)
        return np.packbits(self.elements().reshape(-1, self.size) > 0, axis=-1)

    def outside(self) -> np.ndarray:
        """Return bool [OH * OW, K * K]: the taps (row, column) that lie outside the map."""
        inside = np.ones((1, *self.map.shape[1:3], 1), bool)
        return ~replace(self, map=inside, order="tap")._gather(inside, False).reshape(-1, self.kernel**2)

    def _gather(self, values: np.ndarray, pad_value: int) -> np.ndarray:
        p, s = self.padding, self.stride
        if p:
            values = np.pad(values, ((0, 0), (p, p), (p, p), (0, 0)), constant_values=pad_value)
        views = np.lib.stride_tricks.sliding_window_view(values, (self.kernel, self.kernel), axis=(1, 2))[:, ::s, ::s]
        return views.transpose(0, 1, 2, *ORDERS[self.order]).reshape(len(values), self.out_height, self.out_width, -1)


def as_windows(x: np.ndarray | Windows) -> Windows:
    """Return ``x`` as windows; a map becomes windows of one tap."""
    return x if isinstance(x, Windows) else Windows(x)


def as_map(x: np.ndarray | Windows) -> np.ndarray:
    """Return ``x`` as a map; windows become a map of K*K*C channels."""
    return x.elements() if isinstance(x, Windows) else x
