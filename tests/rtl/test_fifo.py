import pytest

from flow.sim.module import RtlError, RtlModule
from tests.rtl.streams import at_all_rates, random_beats

SHAPES = [(8, 2), (1, 3), (70, 17), (64, 512)]


@pytest.fixture(scope="module", params=SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def fifo(request):
    width, depth = request.param
    return RtlModule("fifo", {"Width": width, "Depth": depth}, {"in": width}, {"out": width})


@at_all_rates
def test_keeps_order(fifo, p_valid, p_ready):
    beats = random_beats(2000, fifo.inputs["in"], seed=1)
    run = fifo.run({"in": beats}, {"out": len(beats)}, seed=2, p_valid=p_valid, p_ready=p_ready)
    assert run.outputs["out"] == beats


def test_passes_a_beat_a_cycle(fifo):
    beats = random_beats(1000, fifo.inputs["in"], seed=3)
    assert fifo.run({"in": beats}, {"out": 1000}).cycles == 1000 + 2


def test_reset_empties(fifo):
    beats = random_beats(700, fifo.inputs["in"], seed=4)
    run = fifo.run({"in": beats}, {"out": len(beats)}, seed=5, p_ready=0.3, reset_at=200)
    assert run.outputs["out"] == beats


def test_holds_at_least_depth(fifo):
    """With an output that is never ready, Depth + 1 beats go in and no more."""
    beats = random_beats(600, fifo.inputs["in"], seed=6)
    with pytest.raises(RtlError, match="is stuck") as error:
        fifo.run({"in": beats}, {"out": 1}, p_ready=0.0, max_cycles=1000)
    depth = dict(SHAPES)[fifo.inputs["in"]]
    assert f"input in is stuck at beat {depth + 1} of 600" in str(error.value)


def test_refuses_depth_1():
    with pytest.raises(RtlError, match="Depth is 1, must be at least 2"):
        RtlModule("fifo", {"Width": 8, "Depth": 1}, {"in": 8}, {"out": 8}).run({"in": []}, {"out": 0})
