"""rtl/global_pool.sv against numpy."""

from functools import partial

import numpy as np
import pytest

from flow.sim.module import RtlModule
from flow.sim.streams import to_beats
from tests.rtl.pools import *  # noqa: F403 - the tests of every pool

CASES = [  # pixels, channels, p, bits
    (16, 512, 32, 10),
    (4, 6, 2, 5),
    (64, 4, 4, 8),
    (1, 8, 4, 3),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "{}x{}-P{}-b{}".format(*case))
def case(request):
    return request.param


@pytest.fixture(scope="module")
def module(case):
    pixels, channels, p, bits = case
    parameters = dict(Pixels=pixels, Channels=channels, P=p, Bits=bits)
    return RtlModule("global_pool", parameters, inputs={"in": p * bits}, outputs={"out": p * bits})


def frames_of(case, frames, seed):
    """Input and output beats of random frames; the first two frames are all lowest and all highest."""
    pixels, channels, p, bits = case
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    x = np.random.default_rng(seed).integers(low, high + 1, (frames, pixels, channels))
    x[0], x[1] = low, high
    y = x.sum(axis=1) >> (pixels.bit_length() - 1)
    return to_beats(x, p, bits), to_beats(y, p, bits)


@pytest.fixture
def beats(case):
    return partial(frames_of, case)


def test_sums_while_the_output_waits():
    pixels, channels, p, bits = case = (64, 4, 4, 8)
    parameters = dict(Pixels=pixels, Channels=channels, P=p, Bits=bits)
    module = RtlModule("global_pool", parameters, inputs={"in": p * bits}, outputs={"out": p * bits})
    sent, expected = frames_of(case, 8, seed=6)
    run = module.run({"in": sent}, {"out": len(expected)}, seed=7, p_ready=0.1)
    assert (
        run.cycles <= len(sent) + 30
    )  # 10 cycles a frame, if the sums stopped; only the wait for the last beat counts
