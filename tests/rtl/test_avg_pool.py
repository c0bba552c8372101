"""rtl/avg_pool.sv against numpy."""

import numpy as np
import pytest

from flow.sim.module import RtlModule
from flow.sim.streams import to_beats

CASES = [  # height, width, channels, p, bits
    (8, 8, 64, 16, 10),
    (4, 6, 6, 2, 5),
    (2, 2, 4, 4, 8),
    (6, 4, 3, 1, 1),
]
RATES = [(1.0, 1.0), (0.6, 0.6), (0.3, 0.9), (0.9, 0.3)]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "{}x{}x{}-P{}-b{}".format(*case))
def case(request):
    return request.param


@pytest.fixture(scope="module")
def module(case):
    height, width, channels, p, bits = case
    parameters = dict(Height=height, Width=width, Channels=channels, P=p, Bits=bits)
    return RtlModule("avg_pool", parameters, inputs={"in": p * bits}, outputs={"out": p * bits})


def beats(case, frames, seed):
    """Input and output beats of random frames; the first two frames are all lowest and all highest."""
    height, width, channels, p, bits = case
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    x = np.random.default_rng(seed).integers(low, high + 1, (frames, height, width, channels))
    x[0], x[1] = low, high
    y = x.reshape(frames, height // 2, 2, width // 2, 2, channels).sum(axis=(2, 4)) >> 2
    return to_beats(x, p, bits), to_beats(y, p, bits)


@pytest.mark.parametrize("p_valid, p_ready", RATES)
def test_equals_numpy(case, module, p_valid, p_ready):
    sent, expected = beats(case, 5, seed=1)
    run = module.run({"in": sent}, {"out": len(expected)}, seed=2, p_valid=p_valid, p_ready=p_ready)
    assert run.outputs["out"] == expected


@pytest.mark.parametrize("share", [0.1, 0.6, 0.99])
def test_reset_in_mid_frame(case, module, share):
    sent, expected = beats(case, 3, seed=3)
    run = module.run({"in": sent}, {"out": len(expected)}, seed=4, p_valid=0.9, reset_at=1 + int(share * len(sent) / 3))
    assert run.outputs["out"] == expected


def test_takes_a_beat_every_cycle(case, module):
    sent, expected = beats(case, 4, seed=5)
    run = module.run({"in": sent}, {"out": len(expected)})
    assert run.cycles == len(sent) + 1
