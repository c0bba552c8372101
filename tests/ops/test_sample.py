"""flow/ops/sample.py against a loop over its channels, and the sampled vote that it makes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.ops.base import Stream
from tests.ops.nodes import hardware_op, random_signs


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.tuples(*[st.integers(1, 3)] * 3))
def test_keeps_every_ratio_th_channel(ratio, kept, shape):
    x = np.random.default_rng(ratio).integers(-100, 100, (*shape, ratio * kept))
    results = hardware_op("Sample", ratio=ratio).evaluate(x)
    assert results.shape == (*shape, kept)
    for c in range(kept):
        np.testing.assert_array_equal(results[..., c], x[..., ratio * c])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4))
def test_a_beat_comes_from_one_beat(ratio, kept, beats):
    """``ratio`` divides p, so the output's beats are those of the input, each sampled by itself."""
    op = hardware_op("Sample", height=2, width=3, channels=ratio * kept * beats, p=ratio * kept, bits=4, ratio=ratio)
    x = np.random.default_rng(kept).integers(-8, 8, (1, 2, 3, op.channels))
    (taken,), (given_,) = op.inputs(), op.outputs()
    assert given_ == Stream(2, 3, kept * beats, kept, 4)
    assert given_.beats == taken.beats == op.cycles()
    np.testing.assert_array_equal(op.evaluate(x).reshape(-1, kept), x.reshape(-1, op.p)[:, ::ratio])


def test_a_sampled_vote_counts_some_inputs_only():
    """In front of a binary layer: the vote of the inputs that are kept, with their weights."""
    x, weights = random_signs(1, 1, 4, 4, 6), random_signs(2, 3, 2)
    sampled = hardware_op("Sample", channels=6, p=3, bits=1, ratio=3).evaluate(x)
    votes = hardware_op("XnorPopcount", channels=2, features=3, activation="majority_vote").evaluate(sampled, weights)
    expected = np.where(x[..., 0, None] * weights[:, 0] + x[..., 3, None] * weights[:, 1] >= 0, 1, -1)
    np.testing.assert_array_equal(votes, expected)
