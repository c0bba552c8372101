"""flow/nodes/sign_threshold.py, rtl/sign_threshold.sv and hls/sign_threshold.hpp."""

import numpy as np
import pytest
from hypothesis import strategies as st

from flow.emit.core import call_of, cell_of
from flow.nodes import Stream
from flow.sim.module import RtlError
from tests.nodes.harness import SLOW, Case, NodeTests, Rtl, any_shape, draw_stream, hardware_op
from tests.nodes.refusals import assert_refused
from tests.rtl.streams import random_signed


def case(channels, p, bits, never=False, size=(4, 5), **options):
    height, width = size
    attributes = {"height": height, "width": width, "channels": channels, "p": p, "bits": bits}

    def thresholds(op, rng):
        """Anywhere, the ends more often: the least is always reached. ``never``: some are one above the largest."""
        values = random_signed((channels,), bits, int(rng.integers(1 << 32)))
        values[:2] = op.inputs()[0].range[:channels]
        if never:
            values[-1] = 1 << bits - 1
        return (values,)

    label = f"C{channels}-P{p}-B{bits}" + "-never" * never
    return Case("SignThreshold", attributes, draw=thresholds, feed=near, label=label, **options)


def near(op, rng, frames, constants):
    """The ends, on both sides of the thresholds, and anywhere."""
    x = draw_stream(op.inputs()[0], rng, frames)
    x[2] = (constants[0] + rng.integers(-1, 2, x[2].shape)).clip(*op.inputs()[0].range)
    return (x,)


class TestSignThreshold(NodeTests):
    cases = [
        case(8, 8, 10),
        case(12, 4, 8),
        case(64, 1, 12),
        case(96, 16, 9),
        case(8, 4, 6, never=True),
        case(3, 1, 4, rtl=SLOW),
        case(64, 8, 10, size=(32, 16), rtl=SLOW),
        case(128, 128, 8, rtl=SLOW),
        case(8, 4, 16, rtl=SLOW),
        case(3, 1, 15, never=True, rtl=SLOW),
    ]
    latency = 1
    resets = (0.001, 0.3, 0.9)

    @staticmethod
    def reference(op, streams, constants):
        """The sign of the difference, and +1 where it is 0."""
        difference = 2 * (streams[0] - constants[0]) + 1
        return difference // abs(difference)


test_any_shape = any_shape(
    TestSignThreshold,
    st.builds(
        case, st.integers(2, 6), st.just(1), st.integers(2, 15), st.booleans(), st.tuples(*[st.integers(1, 4)] * 2)
    ),
)


def test_streams():
    op = hardware_op("SignThreshold", height=4, width=6, channels=8, p=2, bits=9)
    assert op.outputs() == [Stream(4, 6, 8, 2, 1)]


def test_a_threshold_above_all_takes_a_bit_more():
    node = case(2, 1, 4, never=True).node
    assert cell_of(node).extend == 1
    assert cell_of(node).parameters["Bits"] == 5
    assert cell_of(case(2, 1, 4).node).extend == 0


@pytest.mark.parametrize(
    ("emit", "bits", "threshold", "message"),
    [
        (cell_of, 4, -9, "constants -9..0 do not fit 4 signed bits"),
        (cell_of, 4, 16, "constants 0..16 do not fit 5 signed bits"),
        (call_of, 17, 1 << 15, "thresholds 0..32768 do not fit int16_t: the HLS headers take no more bits"),
    ],
)
def test_refuses_thresholds(emit, bits, threshold, message):
    assert_refused(emit, message, "SignThreshold", [threshold, 0], channels=2, bits=bits)


def test_a_missing_file_is_an_error(tmp_path):
    rtl = Rtl(case(8, 8, 10), tmp_path)
    (tmp_path / "thresholds.hex").unlink()
    with pytest.raises(RtlError, match=r"thresholds\.hex"):
        rtl.check()


def test_the_reference_counts_equality_as_plus_one():
    op = hardware_op("SignThreshold", bits=4)
    x, threshold = np.array([[[[2]], [[3]], [[4]]]]), np.array([3])
    assert TestSignThreshold.reference(op, (x,), (threshold,)).ravel().tolist() == [-1, 1, 1]
