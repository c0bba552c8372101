"""rtl/avg_pool.sv against numpy."""

from functools import partial

import numpy as np
import pytest

from flow.sim.module import RtlModule
from flow.sim.streams import to_beats
from tests.rtl.pools import *  # noqa: F403 - the tests of every pool

CASES = [  # height, width, channels, p, bits
    (8, 8, 64, 16, 10),
    (4, 6, 6, 2, 5),
    (2, 2, 4, 4, 8),
    (6, 4, 3, 1, 1),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "{}x{}x{}-P{}-b{}".format(*case))
def case(request):
    return request.param


@pytest.fixture(scope="module")
def module(case):
    height, width, channels, p, bits = case
    parameters = dict(Height=height, Width=width, Channels=channels, P=p, Bits=bits)
    return RtlModule("avg_pool", parameters, inputs={"in": p * bits}, outputs={"out": p * bits})


def frames_of(case, frames, seed):
    """Input and output beats of random frames; the first two frames are all lowest and all highest."""
    height, width, channels, p, bits = case
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    x = np.random.default_rng(seed).integers(low, high + 1, (frames, height, width, channels))
    x[0], x[1] = low, high
    y = x.reshape(frames, height // 2, 2, width // 2, 2, channels).sum(axis=(2, 4)) >> 2
    return to_beats(x, p, bits), to_beats(y, p, bits)


@pytest.fixture
def beats(case):
    return partial(frames_of, case)
