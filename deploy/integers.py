"""Widths of integers: the narrowest type of a stream, types that sums fit, saturation."""

from __future__ import annotations

import numpy as np


def signed_type(bits: int) -> type:
    """The narrowest signed type of ``bits`` bits or more."""
    return next((kind for kind in (np.int8, np.int16, np.int32) if bits <= np.iinfo(kind).bits), np.int64)


def wide(*arrays: np.ndarray) -> type:
    """A type that sums of a few elements of ``arrays`` fit."""
    return np.int32 if all(array.dtype.itemsize <= 2 for array in arrays) else np.int64


def saturate(values: np.ndarray, bits: int) -> np.ndarray:
    """``values`` clamped to the signed range of ``bits``, in the narrowest type."""
    if bits < 8 * values.dtype.itemsize:
        values = np.clip(values, -(1 << bits - 1), (1 << bits - 1) - 1)
    return values.astype(signed_type(bits), copy=False)


def signs(above: np.ndarray) -> np.ndarray:
    """int8 +1 where ``above``, else -1."""
    return (above.view(np.int8) << 1) - np.int8(1)
