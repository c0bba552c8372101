"""rtl/majority_vote.sv against numpy."""

import numpy as np
import pytest

from flow.sim.module import RtlError, RtlModule
from flow.sim.streams import to_beats
from tests.rtl.streams import at_all_rates

CASES = [(1, 3, 4), (4, 10, 288), (3, 5, 1), (40, 4, 15)]  # Pe, CountBits, Threshold


def build(pe, bits, threshold):
    parameters = {"Pe": pe, "CountBits": bits, "Threshold": threshold}
    return RtlModule("majority_vote", parameters, {"in": pe * bits}, {"out": pe})


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "Pe{}-b{}-t{}".format(*case))
def case(request):
    return request.param, build(*request.param)


def check(case, **options):
    (pe, bits, threshold), module = case
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 1 << bits, (100, pe))
    near = np.clip(threshold + rng.integers(-1, 2, counts.shape), 0, (1 << bits) - 1)
    counts = np.where(rng.integers(0, 2, counts.shape) == 1, near, counts)
    run = module.run({"in": to_beats(counts, pe, bits)}, {"out": 100}, seed=2, **options)
    assert run.outputs["out"] == to_beats((counts >= threshold).astype(int), pe, 1)
    return run.cycles


@at_all_rates
def test_equals_comparison(case, p_valid, p_ready):
    check(case, p_valid=p_valid, p_ready=p_ready)


def test_votes_a_beat_a_cycle(case):
    assert check(case) <= 102


def test_reset_in_mid_stream(case):
    check(case, p_valid=0.7, p_ready=0.7, reset_at=40)


def test_refuses_a_threshold_out_of_range():
    with pytest.raises(RtlError, match="Threshold 9 is not within"):
        build(1, 3, 9).run({"in": []}, {"out": 0})
