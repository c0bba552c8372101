"""flow/nodes/vote_select.py, rtl/vote_select.sv and hls/vote_select.hpp."""

import numpy as np
import pytest
from hypothesis import strategies as st

from flow.emit.core import call_of, cell_of
from flow.nodes import Stream
from tests.nodes.harness import SLOW, Case, NodeTests, any_shape, hardware_op
from tests.nodes.refusals import assert_refused
from tests.rtl.streams import random_signed


def case(channels, p, bits, size=(4, 5), **options):
    height, width = size
    attributes = {"height": height, "width": width, "channels": channels, "p": p, "bits": bits}
    return Case("VoteSelect", attributes, draw=pairs, **options)


def pairs(op, rng):
    """Low and high anywhere, the ends more often; high may be below low."""
    low, high = (random_signed((op.channels,), op.bits, int(rng.integers(1 << 32))) for _ in range(2))
    low[0], high[0] = op.outputs()[0].range
    return low, high


class TestVoteSelect(NodeTests):
    cases = [
        case(8, 8, 10),
        case(12, 4, 8),
        case(64, 1, 12),
        case(96, 16, 9),
        case(3, 1, 4, rtl=SLOW),
        case(64, 8, 10, (32, 16), rtl=SLOW),
        case(128, 128, 8, rtl=SLOW),
        case(8, 4, 16, rtl=SLOW),
    ]
    latency = 1
    resets = (0.001, 0.3, 0.9)

    @staticmethod
    def reference(op, streams, constants):
        low, high = constants
        return np.array([low, high])[(streams[0] + 1) // 2, np.arange(op.channels)]


test_any_shape = any_shape(
    TestVoteSelect,
    st.builds(case, st.integers(1, 6), st.just(1), st.integers(2, 16), st.tuples(*[st.integers(1, 4)] * 2)),
)


def test_streams():
    op = hardware_op("VoteSelect", height=4, width=6, channels=8, p=2, bits=9)
    assert op.inputs() == [Stream(4, 6, 8, 2, 1)]
    assert op.outputs() == [Stream(4, 6, 8, 2, 9)]


@pytest.mark.parametrize(
    ("emit", "bits", "message"),
    [
        (cell_of, 16, "constants -40000..7 do not fit 16 signed bits"),
        (call_of, 17, "low -40000..-40000 do not fit int16_t: the HLS headers take no more bits"),
    ],
)
def test_refuses_constants(emit, bits, message):
    assert_refused(emit, message, "VoteSelect", [-40000], [7], bits=bits)
