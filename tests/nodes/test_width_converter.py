"""flow/nodes/width_converter.py, rtl/width_converter.sv and hls/width_converter.hpp."""

from hypothesis import strategies as st

from flow.nodes import Stream
from tests.nodes.harness import SLOW, Case, NodeTests, any_shape, hardware_op
from tests.nodes.refusals import assert_module_refuses


def case(p, out_p, bits, size=(5, 5, 2), **options):
    height, width, beats = size
    attributes = {"height": height, "width": width, "channels": beats * max(p, out_p), "p": p, "bits": bits}
    return Case("WidthConverter", {**attributes, "out_p": out_p}, **options)


class TestWidthConverter(NodeTests):
    cases = [
        case(1, 8, 1),
        case(4, 4, 8),
        case(2, 6, 5),
        case(6, 2, 5),
        case(64, 8, 1),
        case(32, 16, 10),
        case(8, 1, 1, rtl=SLOW),
        case(64, 64, 1, rtl=SLOW),
        case(64, 512, 1, (2, 2, 2), rtl=SLOW),
        case(512, 64, 1, (2, 2, 2), rtl=SLOW),
        case(3, 12, 10, rtl=SLOW),
        case(12, 3, 10, rtl=SLOW),
        case(8, 1, 8, (8, 8, 6), rtl=SLOW),
    ]
    resets = (0.02, 0.14, 0.6, 0.99)

    @staticmethod
    def reference(op, streams, constants):
        return streams[0]

    def check_rate(self, rtl):
        """The narrow side moves every cycle."""
        op = rtl.case.op
        assert rtl.check().cycles == rtl.case.frames * op.cycles() + (op.p != op.out_p)

    def test_rtl_after_reset_with_a_beat_in_part(self, rtl):
        for reset_at in (7, 30):
            rtl.check(seed=5, p_valid=0.6, p_ready=0.9, reset_at=reset_at)


@st.composite
def any_case(draw):
    p, times = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    beats = draw(st.sampled_from([(p, times * p), (times * p, p)]))
    return case(*beats, draw(st.integers(1, 12)), draw(st.tuples(*[st.integers(1, 3)] * 3)))


test_any_shape = any_shape(TestWidthConverter, any_case())


def test_streams():
    op = hardware_op("WidthConverter", height=4, width=6, channels=8, p=2, bits=9, out_p=8)
    assert op.outputs() == [Stream(4, 6, 8, 8, 9)]


def test_the_module_refuses_numbers_that_do_not_divide():
    message = "neither of 4 and 6 elements divides the other"
    assert_module_refuses(message, "width_converter", {"InElements": 4, "OutElements": 6}, {"in": 4}, {"out": 6})
