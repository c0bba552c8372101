"""flow/nodes/packing.py against loops over single bits: one order of constants for RTL, HLS and DDR."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.nodes import NodeError
from flow.nodes.cells import integer_type
from flow.nodes.packing import ddr_bytes, fold, grouped, joined, native_rows, words
from tests.nodes.harness import random_signs

FEW = settings(max_examples=40, deadline=None)
FOLDS = st.tuples(*[st.integers(1, 4)] * 4)  # pe, passes, simd, beats
SEEDS = st.integers(0, 2**32 - 1)


def drawn(folding, seed):
    """Weights [outputs, inputs] of signs, pe and simd."""
    pe, passes, simd, beats = folding
    return random_signs(seed, pe * passes, simd * beats), pe, simd


@FEW
@given(FOLDS, SEEDS)
def test_word_nf_sf_holds_the_weights_of_a_pass_and_a_beat(folding, seed):
    weights, pe, simd = drawn(folding, seed)
    beats = weights.shape[1] // simd
    folded = fold(weights, pe, simd)
    assert folded.shape == (weights.size // (pe * simd), pe, simd)
    for (word, e, i), weight in np.ndenumerate(folded):
        nf, sf = divmod(word, beats)
        assert weight == weights[nf * pe + e, sf * simd + i]


@FEW
@given(FOLDS, SEEDS)
def test_bits_of_a_word(folding, seed):
    """Element e * simd + i is bit e * simd + i, 1 for +1."""
    weights, pe, simd = drawn(folding, seed)
    folded = fold(weights, pe, simd)
    for word, block in zip(words(folded, 1, bipolar=True), folded, strict=True):
        assert [word >> bit & 1 for bit in range(pe * simd)] == [int(weight > 0) for weight in block.ravel()]
        assert word >> pe * simd == 0


@FEW
@given(FOLDS, SEEDS)
def test_ddr_has_the_same_words_one_after_the_other(folding, seed):
    """As little-endian 64-bit words, the last filled with 0."""
    weights, pe, simd = drawn(folding, seed)
    for bits, values in ((1, weights), (3, weights + 2)):
        folded = words(fold(values, pe, simd), bits, bipolar=bits == 1)
        data = ddr_bytes(folded, bits * pe * simd)
        assert len(data) % 8 == 0 and len(data) < bits * weights.size / 8 + 8
        expected = sum(word << n * bits * pe * simd for n, word in enumerate(folded))
        assert int.from_bytes(data, "little") == expected


@FEW
@given(FOLDS, SEEDS)
def test_hls_has_the_same_words_in_parts(folding, seed):
    """Low part first, what is over is 0."""
    weights, pe, simd = drawn(folding, seed)
    for bits, values in ((1, weights), (3, weights + 2)):
        folded = words(fold(values, pe, simd), bits, bipolar=bits == 1)
        name, rows = native_rows(folded, bits * pe * simd)
        size = 8 * rows.dtype.itemsize
        assert f"{rows.dtype}_t" == name and rows.shape == (len(folded), -(-bits * pe * simd // size))
        assert [sum(int(part) << size * n for n, part in enumerate(row)) for row in rows] == folded


@pytest.mark.parametrize(
    ("width", "name", "parts"),
    [
        (1, "uint8_t", 1),
        (9, "uint8_t", 2),
        (48, "uint16_t", 3),
        (64, "uint64_t", 1),
        (96, "uint32_t", 3),
        (144, "uint16_t", 9),
        (512, "uint64_t", 8),
    ],
)
def test_the_parts_are_the_widest_that_fill_a_word(width, name, parts):
    kind, rows = native_rows([(1 << width) - 1] * 2, width)
    assert (kind, rows.shape) == (name, (2, parts))


@FEW
@given(st.integers(1, 40), st.integers(1, 5), st.booleans(), SEEDS)
def test_elements_of_a_word(bits, count, signed, seed):
    """The first in the low bits, in two's complement; of one bit, too: 0 and -1, or 0 and 1 without a sign."""
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    values = np.random.default_rng(seed).integers(low, high, (3, count))
    for word, row in zip(words(values, bits, signed=signed), values.tolist(), strict=True):
        assert word == sum((value % (1 << bits)) << n * bits for n, value in enumerate(row))


def test_grouped_constants_come_pe_a_word():
    assert grouped(np.arange(6), 2).tolist() == [[0, 1], [2, 3], [4, 5]]


def test_joined_words_stand_side_by_side():
    assert joined([([1, 2], 4), ([3, 0], 8), ([0xF, 1], 4)]) == [0xF031, 0x1002]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fold(np.ones((4, 6)), 3, 2), "pe 3 and simd 2 do not divide 4 outputs and 6 inputs"),
        (lambda: fold(np.ones((4, 6)), 2, 4), "pe 2 and simd 4 do not divide 4 outputs and 6 inputs"),
        (lambda: grouped(np.ones(6), 4), "4 constants a word do not divide 6"),
        (lambda: words(np.array([[-9, 0]]), 4), "constants -9..0 do not fit 4 signed bits"),
        (lambda: words(np.array([[0, 8]]), 4, "steps"), "steps 0..8 do not fit 4 signed bits"),
        (lambda: words(np.array([[0, 16]]), 4, "counts", signed=False), "counts 0..16 do not fit 4 unsigned bits"),
        (lambda: words(np.array([[-1, 0]]), 4, "counts", signed=False), "counts -1..0 do not fit 4 unsigned bits"),
        (lambda: words(np.array([[-1, 1]]), 1, "slopes"), "slopes -1..1 do not fit 1 signed bits"),
        (
            lambda: words(np.array([[0, 1]]), 1, "weights", bipolar=True),
            "weights of one bit are -1 and +1, not 0..1",
        ),
    ],
)
def test_refuses(call, message):
    with pytest.raises(NodeError, match=f"^{re.escape(message)}$"):
        call()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0], "int8_t"),
        ([-128, 127], "int8_t"),
        ([128], "int16_t"),
        ([-129], "int16_t"),
        ([-(2**15), 2**15 - 1], "int16_t"),
        ([2**15], "int32_t"),
        ([2**31 - 1], "int32_t"),
        ([-(2**31) - 1], "int64_t"),
        ([2**31], "int64_t"),
    ],
)
def test_the_smallest_integer_type(values, kind):
    assert integer_type(np.array(values)) == kind
