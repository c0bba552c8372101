"""flow/nodes/multi_threshold.py, rtl/multi_threshold.sv and hls/multi_threshold.hpp."""

import numpy as np
import pytest
from hypothesis import strategies as st

from flow.emit.core import call_of, cell_of
from tests.nodes.harness import SLOW, Case, NodeTests, any_shape, draw_stream, hardware_op
from tests.nodes.refusals import assert_refused
from tests.rtl.streams import random_signed


def case(channels, p, bits, steps, base=0, never=False, size=(4, 5), falls=0, **options):
    height, width = size
    attributes = {"height": height, "width": width, "channels": channels, "p": p, "bits": bits, "steps": steps}
    attributes |= {"falls": falls, "base": base, "out_bits": max(falls - base, base + steps).bit_length() + 1}

    def thresholds(op, rng):
        """Anywhere, the ends more often: the least is always reached. ``never``: some are one above the largest."""
        values = random_signed((channels, steps + falls), bits, int(rng.integers(1 << 32)))
        values[0, :2] = op.inputs()[0].range[: steps + falls]
        if never:
            values[-1, -1] = 1 << bits - 1
        return (values,)

    label = f"C{channels}-P{p}-B{bits}-K{steps}-{falls}-from{base}" + "-never" * never
    return Case("MultiThreshold", attributes, draw=thresholds, feed=near, label=label, **options)


def near(op, rng, frames, constants):
    """The ends, on both sides of the thresholds, and anywhere."""
    x = draw_stream(op.inputs()[0], rng, frames)
    (thresholds,) = constants
    chosen = thresholds[np.arange(op.channels), rng.integers(0, op.thresholds, x[2].shape)]
    x[2] = (chosen + rng.integers(-1, 2, x[2].shape)).clip(*op.inputs()[0].range)
    return (x,)


class TestMultiThreshold(NodeTests):
    cases = [
        case(8, 8, 10, 3),
        case(12, 4, 16, 15, base=-8),
        case(6, 1, 8, 3, base=-2, never=True),
        case(4, 2, 9, 5, base=-1, falls=2),
        case(64, 1, 12, 7, rtl=SLOW),
        case(4, 2, 6, 1, base=-1, rtl=SLOW),
        case(3, 3, 24, 31, base=-16, rtl=SLOW),
    ]
    latency = 2
    resets = (0.001, 0.3, 0.9)

    @staticmethod
    def reference(op, streams, constants):
        """The place of each element among the thresholds of its channel that count up, less that among those that count
        down."""
        x, result = streams[0], np.empty(streams[0].shape, int)
        for channel, row in enumerate(constants[0]):
            rises, falls = np.sort(row[: op.steps]), np.sort(row[op.steps :])
            result[..., channel] = np.searchsorted(rises, x[..., channel], side="right")
            result[..., channel] -= np.searchsorted(falls, x[..., channel], side="right")
        return op.base + result


test_any_shape = any_shape(
    TestMultiThreshold,
    st.builds(
        case,
        st.integers(2, 6),
        st.just(1),
        st.integers(2, 15),
        st.integers(1, 9),
        st.integers(-9, 9),
        st.booleans(),
        st.tuples(*[st.integers(1, 4)] * 2),
        st.integers(0, 3),
    ),
)


def test_a_threshold_above_all_takes_a_bit_more():
    assert cell_of(case(2, 1, 4, 3, never=True).node).extend == 1
    assert cell_of(case(2, 1, 4, 3).node).extend == 0


@pytest.mark.parametrize("emit", [cell_of, call_of])
@pytest.mark.parametrize(
    ("thresholds", "options", "message"),
    [
        ([[1, 2], [1, 2]], {"falls": 1}, "thresholds [2, 2]: must be 3 (1 to 255) of 2 channels"),
        ([[1, 2, 3], [1, 2, 3]], {}, "thresholds [2, 3]: must be 2 (1 to 255) of 2 channels"),
        ([[1, 2], [1, 2]], {"base": 1}, "results 1..3 do not fit 2 signed bits: set out_bits"),
        ([[1, 2], [1, 2]], {"base": -3}, "results -3..-1 do not fit 2 signed bits: set out_bits"),
    ],
)
def test_refuses_thresholds(emit, thresholds, options, message):
    assert_refused(emit, message, "MultiThreshold", thresholds, channels=2, bits=8, steps=2, **{"base": -1, **options})


def test_equality_counts():
    op = hardware_op("MultiThreshold", bits=4, steps=2, out_bits=3)
    x = np.array([[[[1]], [[2]], [[4]], [[5]]]])
    assert op.evaluate(x, np.array([[2, 5]])).ravel().tolist() == [0, 1, 1, 2]
