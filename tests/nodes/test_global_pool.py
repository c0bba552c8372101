"""flow/nodes/global_pool.py, rtl/global_pool.sv and hls/global_pool.hpp."""

import numpy as np
import pytest
from hypothesis import strategies as st

from flow.nodes import NodeError, Stream
from tests.nodes.harness import SLOW, Case, NodeTests, Rtl, any_shape, hardware_op


def case(height, width, channels, p, bits, shift=-1, out_bits=0, **options):
    attributes = {"height": height, "width": width, "channels": channels, "p": p, "bits": bits}
    return Case("GlobalPool", attributes | {"shift": shift, "out_bits": out_bits}, frames=5, **options)


def scaled_case(height, width, channels, p, bits, multiplier_bits, shift, out_bits, even=0, **options):
    """With multipliers of both signs and biases as large as their products."""
    sums = max(bits, 2) + (height * width - 1).bit_length()
    half, reach = 1 << multiplier_bits - 1, 1 << multiplier_bits + sums - 2
    attributes = {"height": height, "width": width, "channels": channels, "p": p, "bits": bits, "scaled": 1}
    attributes |= {"shift": shift, "out_bits": out_bits, "even": even, "acc_bits": sums + multiplier_bits + 1}

    def draw(op, rng):
        return rng.integers(-reach, reach, channels), rng.integers(-half, half, channels)

    return Case("GlobalPool", attributes, draw, frames=5, **options)


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
        case(7, 7, 6, 2, 4, shift=0, out_bits=10),  # the sum itself
        case(3, 3, 4, 2, 1, shift=0, out_bits=5),  # of signs
        case(3, 5, 4, 2, 8, shift=3, out_bits=6),  # that saturates
        scaled_case(7, 7, 6, 3, 4, 9, 12, 4),
        scaled_case(3, 2, 4, 4, 1, 6, 5, 3),
        scaled_case(3, 3, 4, 2, 4, 3, 3, 8, even=1),
        scaled_case(5, 1, 4, 1, 16, 16, 20, 12, rtl=SLOW),
        scaled_case(1, 1, 3, 1, 8, 8, 4, 8, rtl=SLOW),
    ]

    @staticmethod
    def reference(op, streams, constants):
        x = streams[0].reshape(len(streams[0]), 1, 1, op.pixels, op.channels)
        bias, multiplier = constants or (0, 1)
        total = x.sum(axis=3) * multiplier + bias
        result = np.rint(total / 2**op.shift - 0.5) if op.even else total // 2**op.shift
        return result.clip(-(1 << op.out_bits - 1), (1 << op.out_bits - 1) - 1)

    def check_rate(self, rtl):
        op = rtl.case.op
        assert rtl.check(extra_cycles=self.tail).cycles == rtl.case.frames * op.cycles() + 1 + 2 * op.scaled


SIDES, ANY = st.sampled_from([1, 2, 4]), st.integers(1, 5)
test_any_shape = any_shape(TestGlobalPool, st.builds(case, SIDES, SIDES, ANY, st.just(1), st.integers(2, 16)))
test_any_shape_scaled = any_shape(
    TestGlobalPool,
    st.builds(scaled_case, ANY, ANY, ANY, st.just(1), st.integers(1, 16), *[st.integers(2, 12)] * 3),
)


def test_the_mean_is_the_floor_of_the_mean():
    (rtl,) = (case for case in TestGlobalPool.cases if str(case).startswith("4x4x512-p_32"))
    means = np.floor(rtl.streams[0].mean(axis=(1, 2), keepdims=True))
    np.testing.assert_array_equal(rtl.outputs[0], means)
    assert rtl.op.fitted([(np.array([-512]), np.array([511]))], ()) == {"acc_bits": 14}


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
    with pytest.raises(NodeError, match="12 pixels: the mean is a shift only over a power of two: give it a shift"):
        hardware_op("GlobalPool", height=3, width=4, channels=8, p=2, bits=9)
