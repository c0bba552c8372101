"""flow/nodes/global_pool.py, rtl/global_pool.sv and hls/global_pool.hpp."""

import numpy as np
import pytest
from hypothesis import strategies as st

from flow.nodes import NodeError, Stream
from tests.nodes.harness import SLOW, Case, NodeTests, Rtl, any_shape, hardware_op


def case(height, width, channels, p, bits, **options):
    attributes = {"height": height, "width": width, "channels": channels, "p": p, "bits": bits}
    return Case("GlobalPool", attributes, frames=5, **options)


class TestGlobalPool(NodeTests):
    cases = [
        case(4, 4, 512, 32, 10),
        case(2, 2, 6, 2, 5),
        case(8, 8, 4, 4, 8),
        case(1, 1, 8, 4, 3),
        case(1, 1, 2, 1, 8, rtl=SLOW),
        case(1, 2, 6, 3, 4, rtl=SLOW),
        case(8, 8, 8, 8, 31, rtl=SLOW),
        case(4, 4, 512, 8, 10, rtl=SLOW),
    ]
    latency = 1

    @staticmethod
    def reference(op, streams, constants):
        x = streams[0].reshape(len(streams[0]), 1, 1, op.pixels, op.channels)
        return np.floor(x.mean(axis=3)).astype(int)


SIDES = st.sampled_from([1, 2, 4])
test_any_shape = any_shape(
    TestGlobalPool, st.builds(case, SIDES, SIDES, st.integers(1, 5), st.just(1), st.integers(2, 16))
)


def test_gives_a_pixel_when_it_has_all():
    op = hardware_op("GlobalPool", height=4, width=4, channels=8, p=2, bits=9)
    assert op.outputs() == [Stream(1, 1, 8, 2, 9)]
    assert op.lag() == 1
    assert op.timing(0, 1000) == (1000, 1004)  # the beats of its output


def test_the_module_sums_while_the_output_waits(tmp_path):
    """It took 10 cycles a frame more if the sums stopped; only the wait for the last beat counts."""
    rtl = Rtl(case(8, 8, 4, 4, 8), tmp_path)
    assert rtl.check(seed=7, p_ready=0.1).cycles <= len(rtl.traffic[0]["in"]) + 30


def test_a_mean_that_is_no_shift_is_refused():
    op = hardware_op("GlobalPool", height=3, width=4, channels=8, p=2, bits=9)
    for refused in (op.rtl, op.hls):
        with pytest.raises(NodeError, match="12 pixels: the mean is a shift only over a power of two"):
            refused()
