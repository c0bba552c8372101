"""Words of the weight and bias memories, in the layout of docs/architecture.md, and the files that $readmemh reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

__all__ = ["bias_words", "count_words", "int_weight_words", "popcount_weight_words", "write_hex"]


def popcount_weight_words(weights_bipolar: np.ndarray, pe: int, simd: int) -> list[int]:
    """Memory words of an xnor_popcount layer.

    Args:
        weights_bipolar: -1 and +1, shape [outputs, inputs].
        pe, simd: outputs and inputs at a time; they divide outputs and inputs.

    Returns:
        Word nf * (inputs / simd) + sf has in bit e * simd + i the weight of output nf * pe + e and input sf * simd + i; 1 is +1.

    Raises:
        ValueError: a weight other than -1 and +1, or a folding that does not divide.
    """
    weights = np.asarray(weights_bipolar)
    if not np.all(np.abs(weights) == 1):
        raise ValueError("bipolar weights are -1 and +1 only")
    return _pack(_folded(weights, pe, simd) > 0)


def int_weight_words(weights: np.ndarray, pe: int, simd: int, bits: int) -> list[int]:
    """Memory words of an int_conv layer: as `popcount_weight_words`, with elements of `bits` bits in two's complement.

    Raises:
        ValueError: a weight outside `bits` signed bits, or a folding that does not divide.
    """
    return _pack(_element_bits(_folded(np.asarray(weights), pe, simd), bits, "weights"))


def bias_words(bias: np.ndarray, pe: int, bits: int) -> list[int]:
    """Memory words of the biases of an int_conv layer: word nf has the biases of outputs nf * pe .. + pe - 1, `bits` bits each.

    Args:
        bias: shape [outputs].

    Raises:
        ValueError: a bias outside `bits` signed bits, or `pe` does not divide the outputs.
    """
    return _pack(_element_bits(_by_pass(np.asarray(bias), pe), bits, "biases"))


def count_words(counts: np.ndarray, pe: int, bits: int) -> list[int]:
    """As `bias_words`, for counts: unsigned numbers of `bits` bits.

    Raises:
        ValueError: a count outside `bits` unsigned bits, or `pe` does not divide the outputs.
    """
    counts = np.asarray(counts)
    if counts.min() < 0:
        raise ValueError(f"a count is {counts.min()}")
    words = _element_bits(_by_pass(counts, pe), bits + 1, "counts").reshape(-1, pe, bits + 1)
    return _pack(words[:, :, :bits].reshape(len(words), -1))


def write_hex(path: Path | str, words: Sequence[int], width_bits: int) -> None:
    """One word a line, in hex, zero-padded to ceil(width_bits / 4) digits.

    Raises:
        ValueError: a word is negative or wider than `width_bits`.
    """
    for index, word in enumerate(words):
        if not 0 <= word < 1 << width_bits:
            raise ValueError(f"{path}: word {index} is not an unsigned number of {width_bits} bits")
    digits = -(-width_bits // 4)
    Path(path).write_text("".join(f"{word:0{digits}x}\n" for word in words), encoding="ascii")


def _folded(weights: np.ndarray, pe: int, simd: int) -> np.ndarray:
    """[outputs, inputs] as [word, element], in the order in which an engine reads them."""
    outputs, inputs = weights.shape
    if outputs % pe or inputs % simd:
        raise ValueError(f"pe={pe}, simd={simd} do not divide {outputs} outputs, {inputs} inputs")
    return weights.reshape(outputs // pe, pe, inputs // simd, simd).transpose(0, 2, 1, 3).reshape(-1, pe * simd)


def _by_pass(constants: np.ndarray, pe: int) -> np.ndarray:
    """[outputs] as [word, element], in the order in which an engine gives them."""
    if constants.shape[0] % pe:
        raise ValueError(f"pe={pe} does not divide {constants.shape[0]} outputs")
    return constants.reshape(-1, pe)


def _element_bits(values: np.ndarray, bits: int, name: str) -> np.ndarray:
    """Two's complement of [word, element] as bits [word, element * bits], low bit first."""
    low, high = int(values.min()), int(values.max())
    if not -(1 << bits - 1) <= low <= high < 1 << bits - 1:
        raise ValueError(f"{name} {low}..{high} do not fit {bits} signed bits")
    return (values.astype(np.int64)[:, :, None] >> np.arange(bits) & 1).reshape(len(values), -1)


def _pack(bits: np.ndarray) -> list[int]:
    """[word, bit], low bit first, as one integer a word."""
    packed = np.packbits(bits.astype(np.uint8), axis=1, bitorder="little")
    return [int.from_bytes(word.tobytes(), "little") for word in packed]
