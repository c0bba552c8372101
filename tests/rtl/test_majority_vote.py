"""rtl/majority_vote.sv against numpy."""

import numpy as np
import pytest

from flow.sim.module import RtlModule
from flow.sim.streams import to_beats
from tests.rtl.streams import at_all_rates

CASES = [(1, 3), (4, 10), (3, 5), (40, 4)]  # Pe, CountBits


def build(pe, bits):
    return RtlModule("majority_vote", {"Pe": pe, "CountBits": bits}, {"in": pe * bits}, {"out": pe})


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "Pe{}-b{}".format(*case))
def case(request):
    return request.param, build(*request.param)


def check(case, **options):
    (pe, bits), module = case
    rng = np.random.default_rng(1)
    sums = rng.integers(-(1 << bits - 1), 1 << bits - 1, (100, pe))
    sums = np.where(rng.integers(0, 2, sums.shape) == 1, rng.integers(-1, 2, sums.shape), sums)
    run = module.run({"in": to_beats(sums, pe, bits)}, {"out": 100}, seed=2, **options)
    assert run.outputs["out"] == to_beats((sums >= 0).astype(int), pe, 1)
    return run.cycles


@at_all_rates
def test_equals_the_sign(case, p_valid, p_ready):
    check(case, p_valid=p_valid, p_ready=p_ready)


def test_votes_a_beat_a_cycle(case):
    assert check(case) <= 102


def test_reset_in_mid_stream(case):
    check(case, p_valid=0.7, p_ready=0.7, reset_at=40)
