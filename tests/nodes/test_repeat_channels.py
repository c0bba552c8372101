"""flow/nodes/repeat_channels.py, rtl/repeat_channels.sv (with window_replay) and hls/repeat_channels.hpp."""

import numpy as np
import pytest
from hypothesis import strategies as st

from flow.nodes import Stream
from tests.nodes.harness import SLOW, Case, NodeTests, any_shape, hardware_op
from tests.nodes.refusals import assert_header_refuses, assert_module_refuses


def case(channels, p, bits, times, size=(3, 5), **options):
    height, width = size
    attributes = {"height": height, "width": width, "channels": channels, "p": p, "bits": bits, "times": times}
    return Case("RepeatChannels", attributes, **options)


class TestRepeatChannels(NodeTests):
    cases = [
        case(1, 1, 1, 2),
        case(64, 8, 10, 2),
        case(6, 6, 4, 3),
        case(15, 3, 5, 5),
        case(96, 96, 1, 2),
        case(8, 2, 8, 1),
        case(12, 4, 32, 5, rtl=SLOW),
    ]
    latency = 1
    resets = (0.01, 0.15, 0.5, 0.9)

    @staticmethod
    def reference(op, streams, constants):
        channels = np.arange(op.times * op.channels) % op.channels
        return streams[0][..., channels]

    @pytest.mark.parametrize("reset_at", [2, 13, 31])
    def test_rtl_after_reset_in_mid_pixel(self, rtl, reset_at):
        rtl.check(seed=2, p_valid=0.7, p_ready=0.7, reset_at=reset_at)


test_any_shape = any_shape(
    TestRepeatChannels,
    st.builds(
        case,
        st.integers(1, 5),
        st.just(1),
        st.integers(1, 12),
        st.integers(1, 4),
        st.tuples(st.integers(1, 3), st.integers(1, 3)),
    ),
)


def test_streams():
    op = hardware_op("RepeatChannels", height=3, width=5, channels=6, p=2, bits=4, times=3)
    assert op.outputs() == [Stream(3, 5, 18, 2, 4)]


@pytest.mark.parametrize(
    ("p", "times", "message"), [(3, 2, "P = 3 does not divide 8 channels"), (4, 0, "Times is 0")], ids=["P", "Times"]
)
def test_the_module_refuses(p, times, message):
    parameters = {"Channels": 8, "P": p, "Bits": 4, "Times": times}
    assert_module_refuses(message, "repeat_channels", parameters, {"in": 4 * p}, {"out": 4 * p})


def test_the_header_refuses_beats_that_do_not_divide(tmp_path):
    message = "repeat_channels: P must divide Channels"
    assert_header_refuses(message, "repeat_channels", (8, 3, 4, 2, 1), tmp_path, {"in": 12}, {"out": 12})
