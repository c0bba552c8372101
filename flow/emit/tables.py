"""Weights in the order in which folded engines read them, and as C++ arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow.errors import FlowError


@dataclass(frozen=True)
class Table:
    """A constant C++ array: its name's suffix behind the node's, its element type, its values, and what its indices mean."""

    suffix: str
    ctype: str
    values: np.ndarray
    layout: str

    def checked(self, node: str) -> Table:
        """Itself, if every value fits the element type.

        Raises:
            FlowError: a value does not fit.
        """
        limits = np.iinfo(self.ctype.removesuffix("_t"))
        low, high = int(self.values.min()), int(self.values.max())
        if low < limits.min or high > limits.max:
            raise FlowError(
                f"{node}: {self.suffix} {low}..{high} do not fit {self.ctype}: the HLS headers take no more bits"
            )
        return self


def fold_weights(weights: np.ndarray, pe: int, simd: int) -> np.ndarray:
    """[Outputs, Inputs] to [Pe, NF * SF, Simd]: the word nf * SF + sf of PE e is for output nf * Pe + e."""
    outputs, inputs = weights.shape
    folded = weights.reshape(outputs // pe, pe, inputs // simd, simd)
    return np.ascontiguousarray(folded.transpose(1, 0, 2, 3).reshape(pe, -1, simd))


def bipolar_words(folded: np.ndarray) -> tuple[str, np.ndarray]:
    """Bipolar [..., Simd] to the smallest native words that hold Simd bits, bit i is element i: (C++ type, array [...])."""
    simd = folded.shape[-1]
    width = next(width for width in (8, 16, 32, 64) if simd <= width)
    shifts = np.arange(simd, dtype=np.uint64)
    words = np.bitwise_or.reduce((folded > 0).astype(np.uint64) << shifts, axis=-1)
    return f"uint{width}_t", words.astype(f"uint{width}")


def ddr_bytes(weights: np.ndarray, pe: int, simd: int) -> bytes:
    """Bipolar weights [Outputs, Inputs] as `weight_stationary` reads them: NF * SF words of Pe * Simd bits, PE 0 in the
    low bits, cut into little-endian 64-bit words, low part first. The last word is filled with 0."""
    words = fold_weights(weights, pe, simd).transpose(1, 0, 2)
    data = np.packbits(words.ravel() > 0, bitorder="little").tobytes()
    return data + bytes(-len(data) % 8)


def cpp_values(values: np.ndarray, indent: str = "") -> str:
    """A brace-enclosed initializer; unsigned numbers in hex, signed ones in decimal."""
    if values.ndim > 1:
        inner = indent + "    "
        rows = ",\n".join(inner + cpp_values(row, inner) for row in values)
        return f"{{\n{rows}}}"
    if values.dtype.kind == "u":
        digits = 2 * values.dtype.itemsize
        numbers = [f"0x{number:0{digits}x}" for number in values.tolist()]
    else:
        numbers = [str(number) for number in values.tolist()]
    per_line = max(1, 100 // (max(map(len, numbers)) + 2))
    lines = [", ".join(numbers[start : start + per_line]) for start in range(0, len(numbers), per_line)]
    return "{" + f",\n{indent} ".join(lines) + "}"


def cpp_array(table: Table, name: str) -> str:
    """The definition of ``table`` as a C++ constant with its layout as a comment."""
    extents = "".join(f"[{extent}]" for extent in table.values.shape)
    return f"// {table.layout}\nstatic const {table.ctype} {name}{extents} = {cpp_values(table.values)};\n"
