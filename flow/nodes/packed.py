"""Binary layers: XNOR and popcount on packed bits, then the activation.

A sum of n products of signs is n - 2d, where d counts the places at which window and weights differ: the ones of their
XOR. So is a sum of group votes, d being the groups that vote -1. Everything here counts such differences.

Counting: ``np.bitwise_count`` where numpy has it (2.0). Before that a chain of carry-save adders turns three words
whose bits weigh 2^k into one of weight 2^k and one of weight 2^(k+1), so only about 2 log2(n / 64) words of the n / 64
are counted by themselves. (A table of 65,536 counts took ten times longer: numpy gathers slowly.)
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .errors import NodeError
from .windows import Windows, as_windows

BLOCK = 1 << 14  # words of a temporary: 128 KB, which a small core's cache holds


class BinaryLayer:
    """A binary engine with its weights int8 [O, n] packed once; called with a map or its windows.

    ``op``: the engine, a BinaryEngine; ``constants`` are those of its activation.
    """

    def __init__(self, op, weights: np.ndarray, *constants: np.ndarray):
        self.op, self.constants = op, constants
        self.inputs = weights.shape[1]
        self.voter = _voter(op.group, op.group_threshold, self.inputs)
        self.rows = np.packbits(weights > 0, axis=1)
        self.weights = np.ascontiguousarray(np.moveaxis(self.voter.pack(self.rows), 0, -1))
        self.of_the_outside = None

    def __call__(self, x: np.ndarray | Windows) -> np.ndarray:
        windows = as_windows(x)
        if not windows.map.all():
            raise NodeError(f"{self.op.name}: its input holds 0, which is no sign")
        if windows.masked and self.op.group:
            raise NodeError(f"{self.op.name}: a grouped voter cannot take windows padded with zeros: pad with -1 or +1")
        outputs = [self._part(part) for part in windows.parts()]
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)

    def _part(self, windows: Windows) -> np.ndarray:
        rows = self.voter.pack(windows.signs())
        sums = np.empty((len(rows), self.op.features), np.int32)
        step = max(1, BLOCK // self.op.features)
        for start in range(0, len(rows), step):
            sums[start : start + step] = self.voter.differences(rows[start : start + step], self.weights)
        np.multiply(sums, -2, out=sums)
        np.add(sums, np.int32(self.op.voters), out=sums)
        shape = len(windows.map), windows.out_height, windows.out_width, self.op.features
        sums = sums.reshape(shape)
        if windows.masked:
            sums += self._outside(windows).reshape(1, *shape[1:])
        return self.op.from_sums(sums, *self.constants)

    def _outside(self, windows: Windows) -> np.ndarray:
        """Return what to add [OH * OW, O]: packed bits count zeros of the padding as -1, so as minus the weight."""
        if self.of_the_outside is None:  # the maps of a network have one size
            weights = np.unpackbits(self.rows, axis=1, count=self.inputs).astype(np.int32) * 2 - 1
            tap = windows.tap_of_elements()
            taps = np.stack([weights[:, tap == t].sum(axis=1) for t in range(windows.taps)], axis=1)
            self.of_the_outside = (windows.outside().astype(np.int32) @ taps.T).astype(np.int32)
        return self.of_the_outside


# voters


def _voter(group: int, threshold: int, inputs: int):
    if not group:
        return Exact()
    if group == 3 and inputs % 3 == 0 and threshold in (0, 1):
        return MajorityOfThree(inputs)
    return Groups(group, threshold, inputs)


class Exact:
    """Every input counts."""

    def pack(self, rows: np.ndarray) -> np.ndarray:
        """Return bits uint8 [P, bytes] as words uint64 [P, W]."""
        return whole_words(rows, np.uint64)

    def differences(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the inputs that differ, [P, O], of rows [P, W] and weights [W, O]."""
        return count_ones(row[:, None] ^ weight for row, weight in zip(rows.T, weights))


class MajorityOfThree:
    """Three neighbours vote +1 unless two of them differ: the majority of three words, a member of the groups in
    each."""

    def __init__(self, inputs: int):
        self.inputs = inputs

    def pack(self, rows: np.ndarray) -> np.ndarray:
        """Return bits uint8 [P, bytes] as words uint64 [P, 3, W], a member of each group in each of the three."""
        bits = np.unpackbits(rows, axis=1, count=self.inputs).reshape(len(rows), -1, 3)
        return whole_words(np.packbits(bits.transpose(0, 2, 1), axis=-1), np.uint64)

    def differences(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the groups that vote -1, [P, O], of rows [P, 3, W] and weights [3, W, O]."""
        words = range(rows.shape[2])
        return count_ones(_majority(*(rows[:, m, w, None] ^ weights[m, w] for m in range(3))) for w in words)


class Groups:
    """Groups of any size, the last of which may be shorter, in the narrowest words that hold one."""

    def __init__(self, group: int, threshold: int, inputs: int):
        self.inputs, self.size = inputs, min(group, inputs)
        sizes = [min(self.size, inputs - start) for start in range(0, inputs, self.size)]
        self.limits = [(size - threshold) // 2 for size in sizes]  # differences with which a group still votes +1
        self.kind = next(
            (kind for kind in (np.uint8, np.uint16, np.uint32) if self.size <= np.iinfo(kind).bits), np.uint64
        )

    def pack(self, rows: np.ndarray) -> np.ndarray:
        """Return bits uint8 [P, bytes] as words [P, groups, words of a group]."""
        bits = np.unpackbits(rows, axis=1, count=self.inputs)
        bits = np.pad(bits, ((0, 0), (0, -self.inputs % self.size))).reshape(len(rows), -1, self.size)
        return whole_words(np.packbits(bits, axis=-1), self.kind)

    def differences(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the groups that vote -1, [P, O], of rows [P, groups, words] and weights [groups, words, O]."""
        total = np.zeros((len(rows), weights.shape[2]), np.int32)
        for group, limit in enumerate(self.limits):
            total += count_ones(row[:, None] ^ weight for row, weight in zip(rows[:, group].T, weights[group])) > limit
        return total


def _majority(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    either = a ^ b
    a &= b
    either &= c
    a |= either
    return a


# counting


def whole_words(rows: np.ndarray, kind: type) -> np.ndarray:
    """Return uint8 [..., bytes], filled up with 0, as words of ``kind``; a count does not depend on their byte
    order."""
    missing = -rows.shape[-1] % np.dtype(kind).itemsize
    if missing:
        rows = np.concatenate([rows, np.zeros((*rows.shape[:-1], missing), np.uint8)], axis=-1)
    return np.ascontiguousarray(rows).view(kind)


def count_ones(words: Iterable[np.ndarray]) -> np.ndarray:
    """Return the ones int32 in all ``words``, arrays of one shape, place by place."""
    if hasattr(np, "bitwise_count"):
        return sum((np.bitwise_count(word) for word in words), start=np.int32(0))
    return _count_by_adders(words)


def _count_by_adders(words: Iterable[np.ndarray]) -> np.ndarray:
    waiting: list[list[np.ndarray]] = []  # waiting[k]: up to two words whose ones weigh 2^k
    for word in words:
        level = 0
        while level < len(waiting) and len(waiting[level]) == 2:
            first, second = waiting[level]
            either = first ^ second
            waiting[level] = [either ^ word]
            first &= second
            either &= word
            first |= either
            word, level = first, level + 1
        if level == len(waiting):
            waiting.append([])
        waiting[level].append(word)
    total: np.ndarray | int = 0
    for level, rest in enumerate(waiting):
        for word in rest:
            total = total + (_ones(word).astype(np.int32) << level)
    return total


def _ones(words: np.ndarray) -> np.ndarray:
    """Return the ones of every word, by sums of neighbouring fields of 1, 2 and 4 bits (Warren, Hacker's Delight,
    5-1)."""
    kind = words.dtype.type
    full = int(np.iinfo(kind).max)
    pairs, nibbles, bytes_, ones = (kind(full // divisor) for divisor in (3, 5, 17, 255))
    words = words - ((words >> kind(1)) & pairs)
    words = (words & nibbles) + ((words >> kind(2)) & nibbles)
    words = (words + (words >> kind(4))) & bytes_
    return (words * ones) >> kind(8 * words.dtype.itemsize - 8)
