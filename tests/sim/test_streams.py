"""The layout of beats, against the sentence in docs/architecture.md."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.nodes import Stream
from flow.sim.streams import decode, from_beats, to_beats, words_of


def test_first_channel_is_in_the_low_bits():
    array = np.arange(16).reshape(1, 2, 2, 4)  # NHWC
    assert to_beats(array, 2, 8) == [0x0100, 0x0302, 0x0504, 0x0706, 0x0908, 0x0B0A, 0x0D0C, 0x0F0E]
    assert to_beats(np.array([-1, 2]), 2, 4) == [0x2F]
    assert to_beats(np.array([[-1, 1, 1, -1]]), 4, 1, bipolar=True) == [0b0110]


@given(st.integers(1, 40), st.integers(1, 32), st.integers(0, 3), st.integers(0, 2**32 - 1), st.booleans())
def test_round_trip(p, bits, groups, seed, signed):
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    array = np.random.default_rng(seed).integers(low, high, (2, 3, groups * p))
    beats = to_beats(array, p, bits)
    assert len(beats) * p == array.size
    np.testing.assert_array_equal(from_beats(beats, p, bits, signed).reshape(array.shape), array)


@given(st.integers(1, 130), st.integers(0, 2**32 - 1))
def test_bipolar_round_trip(p, seed):
    array = np.random.default_rng(seed).choice([-1, 1], (4, 2 * p))
    np.testing.assert_array_equal(
        from_beats(to_beats(array, p, 1, bipolar=True), p, 1, bipolar=True).reshape(4, -1), array
    )


@given(st.integers(1, 130), st.integers(0, 2**32 - 1))
def test_masked_round_trip(p, seed):
    rng = np.random.default_rng(seed)
    array = rng.choice([-1, 1], (4, 3, p)) * rng.choice([0, 1], (4, 3, 1))
    beats = to_beats(array, p, 1, masked=True)
    assert [beat >> p for beat in beats] == (array == 0).all(-1).astype(int).ravel().tolist()
    assert all(beat == 1 << p for beat in beats if beat >> p)
    np.testing.assert_array_equal(from_beats(beats, p, 1, masked=True).reshape(array.shape), array)


@pytest.mark.parametrize(
    ("array", "p", "bits", "options", "message"),
    [
        ([1, 2, 3], 2, 8, {}, "2 elements a beat do not divide 3 channels"),
        ([-9, 0], 2, 4, {}, "-9..0 do not fit 4 bits"),
        ([-1, 15], 2, 4, {}, "-1..15 do not fit 4 bits"),
        ([0, 16], 2, 4, {}, "0..16 do not fit 4 bits"),
        ([0, 1], 2, 1, {"bipolar": True}, "holds -1 and [+]1"),
        ([1, -1, 0, 1], 2, 1, {"masked": True}, "holds -1 and [+]1"),
    ],
)
def test_refuses(array, p, bits, options, message):
    with pytest.raises(ValueError, match=message):
        to_beats(np.array(array), p, bits, **options)


@given(st.integers(1, 130), st.integers(1, 33), st.integers(0, 2**32 - 1))
def test_decode_is_the_inverse_of_the_beats_of_a_stream(p, bits, seed):
    """Over whole 64-bit words a beat, the low one first."""
    stream = Stream(2, 3, 2 * p, p, bits)
    rng = np.random.default_rng(seed)
    low, high = stream.range
    array = rng.choice([-1, 1], (4, 2, 3, 2 * p)) if bits == 1 else rng.integers(low, high + 1, (4, 2, 3, 2 * p))
    beats = to_beats(array, p, bits, bipolar=bits == 1)
    size = 8 * words_of(p * bits)
    words = np.frombuffer(b"".join(beat.to_bytes(size, "little") for beat in beats), np.uint64)
    np.testing.assert_array_equal(decode(words, stream), array)
    with pytest.raises(ValueError, match=f"{len(beats) - 1} beats are no whole frames of {stream.beats}"):
        decode(words[: -words_of(p * bits)], stream)


@pytest.mark.parametrize(("bits", "words"), [(1, 1), (64, 1), (65, 2), (4096, 64)])
def test_words_of(bits, words):
    assert words_of(bits) == words
