import pytest

from flow.sim.module import RtlError, RtlModule
from tests.rtl.streams import at_all_rates, random_beats


@pytest.fixture(scope="module", params=[1, 80])
def duplicate(request):
    return RtlModule(
        "duplicate", {"Width": request.param}, {"in": request.param}, {"out0": request.param, "out1": request.param}
    )


def run_both(module, count=1500, **options):
    beats = random_beats(count, module.inputs["in"], seed=1)
    run = module.run({"in": beats}, {"out0": count, "out1": count}, seed=2, **options)
    assert run.outputs == {"out0": beats, "out1": beats}
    return run


@at_all_rates
def test_both_get_every_beat(duplicate, p_valid, p_ready):
    run_both(duplicate, p_valid=p_valid, p_ready=p_ready)


def test_passes_a_beat_a_cycle(duplicate):
    assert run_both(duplicate, 1000).cycles == 1000


@pytest.mark.parametrize("reset_at", [10, 33, 34, 35])
def test_reset_in_mid_frame(duplicate, reset_at):
    run_both(duplicate, p_ready=0.4, reset_at=reset_at)


def test_neither_consumer_waits_for_the_other(duplicate):
    """Eager: at p_ready 1/2 each, a beat takes E[max of two geometric waits] = 8/3 cycles; a lazy fork would take 4."""
    assert run_both(duplicate, 3000, p_ready=0.5).cycles / 3000 == pytest.approx(8 / 3, rel=0.05)


def test_a_stalled_consumer_stops_the_input(duplicate):
    beats = random_beats(10, duplicate.inputs["in"], seed=1)
    with pytest.raises(RtlError, match="input in is stuck at beat 0 of 10"):
        duplicate.run({"in": beats}, {"out0": 10, "out1": 10}, p_ready=0.0, max_cycles=100)
