"""Frames on the accelerator's bus, which takes 64-bit words."""

from __future__ import annotations

from collections.abc import Sequence

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


def as_frames(images: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return images [N, H, W, C] of ``shape`` (H, W, C); rows [N, F] and signals [N, C, L], which a network takes in
    the order of its channels, are brought to it, others are left as they are."""
    height, width, channels = shape
    if images.ndim == 2 and images.shape[1] == height * width * channels:
        images = images.reshape(-1, channels, height, width)
    elif images.ndim == 3 and height == 1 and images.shape[1:] == (channels, width):
        images = images[:, :, None, :]
    else:
        return images
    return images.transpose(0, 2, 3, 1)
