"""flow/nodes/fifo.py and rtl/fifo.sv; in HLS it is the depth of a stream."""

import pytest
from hypothesis import strategies as st

from flow.emit.core import call_of
from flow.sim.module import RtlError
from tests.nodes.harness import Case, NodeTests, any_shape, hardware_op
from tests.nodes.refusals import assert_module_refuses, assert_refused


def case(p, bits, depth, size=(20, 25, 1), **options):
    height, width, beats = size
    attributes = {"height": height, "width": width, "channels": p * beats, "p": p, "bits": bits, "depth": depth}
    return Case("Fifo", attributes, hls=False, **options)


class TestFifo(NodeTests):
    cases = [case(1, 8, 2), case(1, 1, 3), case(7, 10, 17), case(64, 1, 512)]
    latency = 2
    test_hls = None  # it is a wire

    @staticmethod
    def reference(op, streams, constants):
        return streams

    def test_rtl_reset_empties(self, rtl):
        rtl.check(seed=5, p_ready=0.3, reset_at=200)

    def test_rtl_holds_at_least_its_depth(self, rtl):
        """With an output that is never ready, depth + 1 beats go in and no more."""
        taken, _ = rtl.traffic
        stuck = f"input in is stuck at beat {rtl.case.op.depth + 1} of {len(taken['in'])}"
        with pytest.raises(RtlError, match=stuck):
            rtl.module.run(taken, {"out": 1}, p_ready=0.0, max_cycles=2000)


test_any_shape = any_shape(
    TestFifo,
    st.builds(case, st.integers(1, 4), st.integers(1, 24), st.integers(2, 9), st.tuples(*[st.integers(1, 4)] * 3)),
)


def test_holds_its_depth():
    assert hardware_op("Fifo", depth=17).holds() == 17


def test_is_no_function_in_hls():
    assert hardware_op("Fifo", depth=2).is_wire
    assert_refused(call_of, "no HLS header for Fifo", "Fifo", depth=2)


def test_the_module_refuses_depth_1():
    assert_module_refuses("Depth is 1, must be at least 2", "fifo", {"Width": 8, "Depth": 1}, {"in": 8}, {"out": 8})
