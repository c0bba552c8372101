"""rtl/max_pool.sv against its node."""

from functools import partial

import numpy as np
import pytest

from flow.sim.module import RtlError, RtlModule
from flow.sim.streams import to_beats
from tests.ops.nodes import hardware_op
from tests.rtl.pools import *  # noqa: F403 - the tests of every pool
from tests.rtl.streams import random_signed

CASES = [  # height, width, channels, p, bits
    (8, 8, 64, 16, 10),
    (4, 6, 6, 2, 5),
    (2, 2, 4, 4, 8),
    (6, 4, 3, 1, 2),
    (4, 8, 96, 32, 1),
    (6, 2, 5, 1, 1),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "{}x{}x{}-P{}-b{}".format(*case))
def case(request):
    return request.param


@pytest.fixture(scope="module")
def module(case):
    return build(*case)


def build(height, width, channels, p, bits):
    parameters = {"Height": height, "Width": width, "Channels": channels, "P": p, "Bits": bits}
    return RtlModule("max_pool", parameters, {"in": p * bits}, {"out": p * bits})


def frames_of(case, frames, seed):
    """Input and output beats of random frames; the first two are all lowest and all highest, and the largest of a window of
    the third is in each of its places."""
    height, width, channels, p, bits = case
    bipolar = bits == 1
    low, high = (-1, 1) if bipolar else (-(1 << bits - 1), (1 << bits - 1) - 1)
    shape = (frames, height, width, channels)
    x = np.random.default_rng(seed).choice([-1, 1], shape) if bipolar else random_signed(shape, bits, seed)
    x[0], x[1], x[2] = low, high, low
    for c in range(channels):
        x[2, c // 2 % 2 :: 2, c % 2 :: 2, c] = high
    y = hardware_op("MaxPool", bits=bits).evaluate(x)
    return to_beats(x, p, bits, bipolar=bipolar), to_beats(y, p, bits, bipolar=bipolar)


@pytest.fixture
def beats(case):
    return partial(frames_of, case)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [((4, 4, 6, 4, 8), r"P \(4\) must divide Channels \(6\)"), ((4, 3, 4, 4, 8), "4x3, both sides must be even")],
    ids=["P", "Width"],
)
def test_refuses_parameters(wrong, message):
    with pytest.raises(RtlError, match=message):
        build(*wrong).run({"in": []}, {"out": 0})
