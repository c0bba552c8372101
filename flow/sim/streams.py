"""Tensors as beats of a stream, in the layout of docs/architecture.md: channels fastest, element 0 in the low bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def to_beats(array: np.ndarray, p: int, bits: int, *, bipolar: bool = False, masked: bool = False) -> list[int]:
    """Groups of `p` elements of `bits` bits, taken in C order; signed values become two's complement.

    Args:
        array: integers, the last axis is channels and `p` divides it. A bipolar array holds -1 and +1 and has `bits=1`. In a
            masked one a beat may be 0 instead: then only its mask is set, the bit above its elements.

    Raises:
        ValueError: `p` does not divide the channels, a value does not fit, or a masked beat is 0 in part.
    """
    array = np.asarray(array)
    if array.size == 0:
        return []
    if array.shape[-1] % p:
        raise ValueError(f"{p} elements a beat do not divide {array.shape[-1]} channels")
    if masked:
        return _masked_beats(array.reshape(-1, p))
    low, high = int(array.min()), int(array.max())
    if bipolar:
        if bits != 1 or not np.all(np.abs(array) == 1):
            raise ValueError(f"a bipolar array holds -1 and +1 in 1 bit, not {low}..{high} in {bits}")
        array = array > 0
    elif not -(1 << bits - 1) <= low <= high < 1 << (bits if low >= 0 else bits - 1):
        raise ValueError(f"values {low}..{high} do not fit {bits} bits")
    words = array.reshape(-1, p).astype(np.int64).view(np.uint64)
    size = -(-p * bits // 8)
    if p * bits <= 64:
        shifts = np.arange(p, dtype=np.uint64) * np.uint64(bits)
        mask = np.uint64((1 << bits) - 1)
        return np.bitwise_or.reduce((words & mask) << shifts, axis=1).tolist()
    flat = (words[:, :, None] >> np.arange(bits, dtype=np.uint64)).astype(np.uint8) & 1
    packed = np.packbits(flat.reshape(len(words), -1), axis=1, bitorder="little").tobytes()
    return [int.from_bytes(packed[start : start + size], "little") for start in range(0, len(packed), size)]


def _masked_beats(signs: np.ndarray) -> list[int]:
    """[beat, element] of -1 and +1, or 0 in all of a beat."""
    outside = ~signs.any(axis=1)
    beats = to_beats(np.where(outside[:, None], -1, signs), signs.shape[1], 1, bipolar=True)
    return [1 << signs.shape[1] if mask else beat for beat, mask in zip(beats, outside)]


def from_beats(
    beats: Sequence[int], p: int, bits: int, signed: bool = False, *, bipolar: bool = False, masked: bool = False
) -> np.ndarray:
    """The inverse of `to_beats`: int64 of shape [len(beats), p], to be reshaped by the caller."""
    if masked:
        inside = np.array([not beat >> p for beat in beats], np.int64)
        signs = from_beats([beat & (1 << p) - 1 for beat in beats], p, 1, bipolar=True)
        return signs * inside[:, None]
    size = -(-p * bits // 8)
    data = np.frombuffer(b"".join(int(beat).to_bytes(size, "little") for beat in beats), np.uint8).reshape(-1, size)
    flat = np.unpackbits(data, axis=1, count=p * bits, bitorder="little").reshape(-1, p, bits)
    values = np.zeros(flat.shape[:2], np.int64)
    for bit in range(bits):
        values |= flat[:, :, bit].astype(np.int64) << bit
    if bipolar:
        return 2 * values - 1
    if signed:
        values -= (values >> bits - 1) << bits
    return values
