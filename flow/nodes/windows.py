"""im2col that is put off: the node that takes the windows of a map chooses their form, integers or packed bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

# how a window's elements are sent, the last one fastest: axes of [..., block, channel of it, row, column], from the end
ORDERS = {"tap": (-2, -1, -4, -3), "row": (-2, -4, -3, -1), "channel": (-4, -3, -2, -1), "block": (-4, -2, -1, -3)}
ELEMENTS = 1 << 22  # of the windows that exist at a time: 32 MB in float64

Pair = tuple[int, int]  # of rows, of columns
Sides = tuple[int, int, int, int]  # top, left, bottom, right


def pair(value: int | Sequence[int]) -> Pair:
    """Return (rows, columns), of one number for both or of two."""
    rows, columns = value if isinstance(value, Sequence) else (value, value)
    return int(rows), int(columns)


def sides(value: int | Sequence[int]) -> Sides:
    """Return (top, left, bottom, right), as ONNX writes pads, of one number for all, (rows, columns) or four."""
    given = tuple(value) if isinstance(value, Sequence) else (value,)
    top, left, bottom, right = (int(side) for side in given * (4 // len(given)))
    return top, left, bottom, right


def reach(kernel: Pair, dilation: Pair) -> Pair:
    """Return the rows and columns from the first tap of a window to its last one, both counted."""
    rows, columns = ((taps - 1) * step + 1 for taps, step in zip(kernel, dilation))
    return rows, columns


def windows_along(size: Pair, kernel: Pair, stride: Pair, padding: Sides, dilation: Pair) -> Pair:
    """Return the rows and columns of windows on a map of ``size`` (rows, columns)."""
    span = reach(kernel, dilation)
    rows, columns = ((size[i] + padding[i] + padding[i + 2] - span[i]) // stride[i] + 1 for i in (0, 1))
    return rows, columns


def ordered(elements: np.ndarray, order: str = "tap", block: int = 0) -> np.ndarray:
    """Return [..., C, KH, KW] as [..., C*KH*KW], in the ``order`` of a window's elements, the last one fastest:

    - "tap": row, column, channel;
    - "row": row, channel, column: the taps of a kernel row stand together;
    - "channel": channel, row, column;
    - "block": block of ``block`` neighbouring channels (0: all), row, column, channel of the block.
    """
    *others, channels, rows, columns = elements.shape
    size = (order == "block" and block) or channels
    blocks = elements.reshape(*others, -1, size, rows, columns)
    axes = range(len(others)), (blocks.ndim + axis for axis in ORDERS[order])
    return blocks.transpose([axis for part in axes for axis in part]).reshape(*others, -1)


@dataclass(frozen=True)
class Windows:
    """Windows [N, OH, OW, KH*KW*C] of a map [N, H, W, C], the taps outside of which read ``pad_value``.

    ``kernel``, ``stride`` and ``dilation`` are (rows, columns), or one number for both; ``padding`` is (top, left,
    bottom, right), or one number for all. ``order`` and ``block``: see `ordered`.
    """

    map: np.ndarray
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Sides = (0, 0, 0, 0)
    pad_value: int = 0
    order: str = "tap"
    dilation: Pair = (1, 1)
    block: int = 0

    def __post_init__(self):
        for name, of in {"kernel": pair, "stride": pair, "dilation": pair, "padding": sides}.items():
            object.__setattr__(self, name, of(getattr(self, name)))

    @property
    def taps(self) -> int:
        """Taps of a channel in a window."""
        return self.kernel[0] * self.kernel[1]

    @property
    def size(self) -> int:
        """Elements of a window."""
        return self.taps * self.map.shape[3]

    @property
    def out_size(self) -> Pair:
        """Rows and columns of windows."""
        rows, columns = self.map.shape[1:3]
        return windows_along((rows, columns), self.kernel, self.stride, self.padding, self.dilation)

    @property
    def out_height(self) -> int:
        return self.out_size[0]

    @property
    def out_width(self) -> int:
        return self.out_size[1]

    @property
    def masked(self) -> bool:
        """Whether some taps are 0, if the map holds signs."""
        return any(self.padding) and self.pad_value == 0

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
        """Return bool [OH * OW, KH * KW]: the taps (row, column) that lie outside the map."""
        inside = np.ones((1, *self.map.shape[1:3], 1), bool)
        return ~replace(self, map=inside, order="tap")._gather(inside, False).reshape(-1, self.taps)

    def tap_of_elements(self) -> np.ndarray:
        """Return int [n]: for each element of a window its tap, row * KW + column."""
        taps = np.arange(self.taps).reshape(self.kernel)
        return ordered(np.broadcast_to(taps, (self.map.shape[3], *self.kernel)), self.order, self.block)

    def _gather(self, values: np.ndarray, pad_value: int) -> np.ndarray:
        (top, left, bottom, right), (down, across), (rows, columns) = self.padding, self.stride, self.dilation
        if any(self.padding):
            values = np.pad(values, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=pad_value)
        span = reach(self.kernel, self.dilation)
        views = np.lib.stride_tricks.sliding_window_view(values, span, axis=(1, 2))  # [N, H, W, C, rows, columns]
        return ordered(views[:, ::down, ::across, :, ::rows, ::columns], self.order, self.block)


def as_windows(x: np.ndarray | Windows) -> Windows:
    """Return ``x`` as windows; a map becomes windows of one tap."""
    return x if isinstance(x, Windows) else Windows(x)


def as_map(x: np.ndarray | Windows) -> np.ndarray:
    """Return ``x`` as a map; windows become a map of KH*KW*C channels."""
    return x.elements() if isinstance(x, Windows) else x
