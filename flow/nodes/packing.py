"""Constants in the order in which folded hardware reads them, packed into words.

There is one order for RTL memories, HLS tables and weights in DDR: word ``nf * SF + sf`` belongs to pass ``nf`` over
the window and beat ``sf`` of it, and holds for each PE ``e`` and each input ``i`` of the beat the weight of output ``nf
* Pe + e`` and input ``sf * Simd + i``. Constants of outputs come ``Pe`` a word, in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .errors import NodeError


def fold(weights: np.ndarray, pe: int, simd: int) -> np.ndarray:
    """Return weights [outputs, inputs] as [word, pe, simd].

    Raises:
        NodeError: ``pe`` or ``simd`` does not divide them.
    """
    outputs, inputs = weights.shape
    if outputs % pe or inputs % simd:
        raise NodeError(f"pe {pe} and simd {simd} do not divide {outputs} outputs and {inputs} inputs")
    return weights.reshape(outputs // pe, pe, inputs // simd, simd).transpose(0, 2, 1, 3).reshape(-1, pe, simd)


def grouped(constants: np.ndarray, count: int) -> np.ndarray:
    """Return constants [N] as [word, count].

    Raises:
        NodeError: ``count`` does not divide N.
    """
    if len(constants) % count:
        raise NodeError(f"{count} constants a word do not divide {len(constants)}")
    return np.asarray(constants).reshape(-1, count)


def words(
    values: np.ndarray, bits: int, what: str = "constants", *, signed: bool = True, bipolar: bool = False
) -> list[int]:
    """Return each row of ``values`` [word, ...] as one number, its first element in the low bits.

    Elements are two's complement where ``signed``; ``bipolar`` ones are -1 and +1 in one bit, which is 1 for +1.

    Raises:
        NodeError: an element does not fit.
    """
    flat = np.asarray(values).reshape(len(values), -1)
    if bipolar:
        if bits != 1 or not np.all(np.abs(flat) == 1):
            raise NodeError(f"{what} of one bit are -1 and +1, not {flat.min()}..{flat.max()}")
        pattern = (flat > 0).astype(np.uint8)
    else:
        low, high = int(flat.min()), int(flat.max())
        least, most = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
        if low < least or high > most:
            raise NodeError(f"{what} {low}..{high} do not fit {bits} {'signed' if signed else 'unsigned'} bits")
        pattern = (flat.astype(np.int64)[:, :, None] >> np.arange(bits) & 1).astype(np.uint8).reshape(len(flat), -1)
    packed = np.packbits(pattern, axis=1, bitorder="little")
    return [int.from_bytes(word.tobytes(), "little") for word in packed]


def wrapped(values: np.ndarray, bits: int) -> np.ndarray:
    """Return ``values`` as two's complement numbers of ``bits`` bits, which wrap around."""
    half = 1 << bits - 1
    exact = [(int(value) + half) % (2 * half) - half for value in np.ravel(values)]
    return np.array(exact, np.int64).reshape(np.shape(values))


def joined(fields: Sequence[tuple[Sequence[int], int]]) -> list[int]:
    """Return the words of (words, width) pairs side by side, those of the first pair in the low bits."""
    result, low = [0] * len(fields[0][0]), 0
    for parts, width in fields:
        result = [word | part << low for word, part in zip(result, parts)]
        low += width
    return result


def native_rows(values: Sequence[int], width: int) -> tuple[str, np.ndarray]:
    """Return words of ``width`` bits as rows [word, part] of an unsigned C++ type, low part first, and its name.

    The type is the widest whose parts fill the word; where none does, its last bits are 0.
    """
    bits = next((bits for bits in (64, 32, 16, 8) if width % bits == 0), 8)
    size = -(-width // bits) * bits // 8
    data = np.frombuffer(b"".join(value.to_bytes(size, "little") for value in values), f"<u{bits // 8}")
    return f"uint{bits}_t", data.reshape(len(values), -1)


def ddr_bytes(values: Sequence[int], width: int) -> bytes:
    """Return words of ``width`` bits as DDR holds them: one after the other, cut into little-endian 64-bit words, the
    last of which is filled with 0."""
    size = -(-width // 8)
    data = np.frombuffer(b"".join(value.to_bytes(size, "little") for value in values), np.uint8)
    if width % 8:
        bits = np.unpackbits(data.reshape(-1, size), axis=1, bitorder="little")[:, :width]
        data = np.packbits(bits.ravel(), bitorder="little")
    return data.tobytes() + bytes(-len(data) % 8)
