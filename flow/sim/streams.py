"""Tensors as beats of a stream, in the layout of docs/architecture.md: channels fastest, element 0 in the low bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flow.nodes import Stream

WORD_BYTES = 8


def to_beats(array: np.ndarray, p: int, bits: int, *, bipolar: bool = False, masked: bool = False) -> list[int]:
    """Return groups of `p` elements of `bits` bits, taken in C order; signed values become two's complement.

    Args:
        array: integers, the last axis is channels and `p` divides it. A bipolar array holds -1 and +1 and has `bits=1`.
            In a masked one a beat may be 0 instead: then only its mask is set, the bit above its elements.

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
    """Return the beats of signs [beat, element], which are -1 and +1, or 0 in all of a beat."""
    outside = ~signs.any(axis=1)
    beats = to_beats(np.where(outside[:, None], -1, signs), signs.shape[1], 1, bipolar=True)
    return [1 << signs.shape[1] if mask else beat for beat, mask in zip(beats, outside)]


def from_beats(
    beats: Sequence[int], p: int, bits: int, signed: bool = False, *, bipolar: bool = False, masked: bool = False
) -> np.ndarray:
    """Return the inverse of `to_beats`: integers of shape [len(beats), p], to be reshaped by the caller.

    Elements of one bit are 0 and 1, or 0 and -1 where ``signed``, unless they are ``bipolar`` or ``masked``.
    """
    count = words_of(p * bits + masked)
    size = WORD_BYTES * count
    data = b"".join(int(beat).to_bytes(size, "little") for beat in beats)
    words = np.frombuffer(data, "<u8").reshape(-1, count)
    values = unpack(words, p, bits, signed=signed, masked=masked).astype(np.int64)
    if bits > 1 or bipolar or masked:
        return values
    return (values + 1) // (-2 if signed else 2)


def words_of(bits: int) -> int:
    """Return the 64-bit words that hold a beat of so many bits."""
    return -(-bits // (8 * WORD_BYTES))


def decode(words: np.ndarray, stream: Stream) -> np.ndarray:
    """Return 64-bit words of whole frames of ``stream`` as integers [frames, H, W, C].

    They are int8 -1 and +1 (0 where masked) if they are of one bit, else int32 or int64.

    Raises:
        ValueError: the words are no whole frames.
    """
    beats = words.reshape(-1, words_of(stream.beat_bits))
    if len(beats) % stream.beats:
        raise ValueError(f"{len(beats)} beats are no whole frames of {stream.beats}")
    values = unpack(beats, stream.parallel, stream.bits, signed=stream.signed, masked=stream.masked)
    return values.reshape(-1, stream.height, stream.width, stream.channels)


def unpack(words: np.ndarray, p: int, bits: int, *, signed: bool, masked: bool) -> np.ndarray:
    """Return beats, 64-bit words [beat, word] with the low word first, as integers [beat, p]; one bit is -1 or +1."""
    octets = np.ascontiguousarray(words, "<u8").view(np.uint8).reshape(len(words), WORD_BYTES * words.shape[1])
    packed = np.unpackbits(octets, axis=1, count=p * bits + masked, bitorder="little")
    flat = packed[:, : p * bits].reshape(-1, p, bits)
    if bits == 1:
        values = flat[:, :, 0].astype(np.int8) * 2 - 1
        return values * (1 - packed[:, -1:].astype(np.int8)) if masked else values
    kind = np.int32 if bits <= 31 else np.int64
    weights = 1 << np.arange(bits, dtype=np.int64)
    if signed:
        weights[-1] = -weights[-1]
    return sum(flat[:, :, bit] * weights[bit] for bit in range(bits)).astype(kind)
