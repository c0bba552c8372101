"""rtl/tap_gather.sv against a transposition in numpy."""

import numpy as np
import pytest

from flow.sim.module import RtlModule
from flow.sim.streams import to_beats
from tests.rtl.streams import at_all_rates

CASES = [(2, 1, 1), (3, 4, 1), (9, 8, 1), (3, 2, 8), (25, 1, 3)]  # Taps, Channels, Bits
BEATS = 40


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "t{}-c{}-b{}".format(*case))
def case(request):
    taps, channels, bits = request.param
    widths = {"in": channels * bits}, {"out": taps * channels * bits}
    return request.param, RtlModule("tap_gather", {"Taps": taps, "Channels": channels, "Bits": bits}, *widths)


def check(case, **options) -> int:
    (taps, channels, bits), module = case
    elements = np.random.default_rng(1).integers(0, 1 << bits, (BEATS, taps, channels))
    expected = to_beats(elements.swapaxes(1, 2).reshape(BEATS, -1), taps * channels, bits)
    run = module.run({"in": to_beats(elements, channels, bits)}, {"out": BEATS}, seed=2, **options)
    assert run.outputs["out"] == expected
    return run.cycles


@at_all_rates
def test_channel_then_tap(case, p_valid, p_ready):
    check(case, p_valid=p_valid, p_ready=p_ready)


def test_takes_a_beat_a_cycle(case):
    assert check(case) <= BEATS * case[0][0] + 2


def test_reset_between_the_taps(case):
    check(case, p_valid=0.7, p_ready=0.7, reset_at=BEATS // 2 * case[0][0] + 1)
