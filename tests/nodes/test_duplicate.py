"""flow/nodes/duplicate.py, rtl/duplicate.sv and hls/duplicate.hpp."""

import pytest
from hypothesis import strategies as st

from flow.nodes.windows import Windows
from flow.sim.module import RtlError
from tests.nodes.harness import SLOW, Case, NodeTests, any_shape, hardware_op, random_signs


def case(p, bits, size=(30, 25, 1), **options):
    height, width, beats = size
    return Case("Duplicate", {"height": height, "width": width, "channels": p * beats, "p": p, "bits": bits}, **options)


class TestDuplicate(NodeTests):
    cases = [case(1, 1), case(8, 10), case(64, 1, rtl=SLOW), case(1, 1, (1, 1, 1), rtl=False)]

    @staticmethod
    def reference(op, streams, constants):
        return streams[0], streams[0]

    @pytest.mark.parametrize("reset_at", [10, 33, 34, 35])
    def test_rtl_after_reset_with_one_output_ahead(self, rtl, reset_at):
        rtl.check(seed=2, p_ready=0.4, reset_at=reset_at)

    def test_rtl_neither_output_waits_for_the_other(self, rtl):
        """Eager: at p_ready 1/2 each, a beat takes E[max of two geometric waits] = 8/3 cycles; of a lazy fork 4."""
        beats = rtl.case.frames * rtl.case.op.cycles()
        assert rtl.check(seed=2, p_ready=0.5).cycles / beats == pytest.approx(8 / 3, rel=0.05)

    def test_rtl_a_stalled_output_stops_the_input(self, rtl):
        taken, made = rtl.traffic
        with pytest.raises(RtlError, match=f"input in is stuck at beat 0 of {len(taken['in'])}"):
            counts = {port: len(beats) for port, beats in made.items()}
            rtl.module.run(taken, counts, p_ready=0.0, max_cycles=100)


test_any_shape = any_shape(
    TestDuplicate, st.builds(case, st.integers(1, 4), st.integers(1, 24), st.tuples(*[st.integers(1, 4)] * 3))
)


def test_windows_pass_as_they_are():
    """So that what follows may pack them."""
    windows = Windows(random_signs(1, 1, 4, 4, 2), 3)
    assert all(result is windows for result in hardware_op("Duplicate", bits=1).quick()(windows))
