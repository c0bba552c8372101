"""flow/nodes/sample.py, rtl/sample.sv and hls/sample.hpp, and the sampled vote that the node makes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.nodes import Cost, Stream
from tests.nodes.harness import SLOW, Case, NodeTests, any_shape, hardware_op, random_signs
from tests.nodes.refusals import assert_header_refuses, assert_module_refuses


def case(p, bits, ratio, size=(3, 4, 5), **options):
    height, width, beats = size
    attributes = {"height": height, "width": width, "channels": p * beats, "p": p, "bits": bits, "ratio": ratio}
    return Case("Sample", attributes, **options)


class TestSample(NodeTests):
    cases = [case(8, 1, 2), case(96, 1, 3), case(6, 9, 6), case(4, 5, 1), case(4, 32, 1, rtl=SLOW)]

    @staticmethod
    def reference(op, streams, constants):
        kept = [streams[0][..., c] for c in range(op.channels) if c % op.ratio == 0]
        return np.stack(kept, axis=-1)

    @pytest.mark.parametrize("reset_at", [50])
    def test_rtl_after_reset(self, rtl, reset_at):
        rtl.check(seed=2, p_valid=0.7, p_ready=0.7, reset_at=reset_at)


@st.composite
def any_case(draw):
    ratio, kept = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    return case(ratio * kept, draw(st.integers(1, 12)), ratio, draw(st.tuples(*[st.integers(1, 3)] * 3)))


test_any_shape = any_shape(TestSample, any_case())


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
    assert op.p in op.foldings() and all(p % ratio == 0 for p in op.foldings())


def test_a_sampled_vote_counts_some_inputs_only():
    """In front of a binary layer: the vote of the inputs that are kept, with their weights."""
    x, weights = random_signs(1, 1, 4, 4, 6), random_signs(2, 3, 2)
    sampled = hardware_op("Sample", channels=6, p=3, bits=1, ratio=3).evaluate(x)
    votes = hardware_op("XnorPopcount", channels=2, features=3).evaluate(sampled, weights)
    expected = np.where(x[..., 0, None] * weights[:, 0] + x[..., 3, None] * weights[:, 1] >= 0, 1, -1)
    np.testing.assert_array_equal(votes, expected)


def test_costs_nothing():
    assert hardware_op("Sample", ratio=1).cost() == Cost()


def test_the_module_refuses_a_ratio_that_does_not_divide():
    message = "Ratio = 3 does not divide the 8 elements"
    assert_module_refuses(message, "sample", {"P": 8, "Bits": 4, "Ratio": 3}, {"in": 32}, {"out": 8})


def test_the_header_refuses_a_ratio_that_does_not_divide(tmp_path):
    message = "sample: Ratio must divide P"
    assert_header_refuses(message, "sample", (8, 1, 3, 2), tmp_path, {"in": 8}, {"out": 2})
