"""Frames on the accelerator's bus, which takes 64-bit words."""

from __future__ import annotations

import numpy as np

WORD_BYTES = 8


def padded_bytes(frame_bytes: int) -> int:
    """Return the bytes of the words of a frame."""
    return -(-frame_bytes // WORD_BYTES) * WORD_BYTES


def padded(images: np.ndarray) -> np.ndarray:
    """Return images uint8 [N, ...] as whole words, uint8 [N, bytes]; the padding is 0. No copy where none is needed."""
    flat = np.ascontiguousarray(images, np.uint8).reshape(len(images), -1)
    rest = padded_bytes(flat.shape[1]) - flat.shape[1]
    return np.pad(flat, ((0, 0), (0, rest))) if rest else flat
