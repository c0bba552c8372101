import numpy as np
import pytest

from flow.sim.module import RtlModule
from flow.sim.streams import from_beats, to_beats
from tests.rtl.streams import at_all_rates, random_signed, write_memory

SHAPES = [(8, 8, 10), (12, 4, 8), (64, 1, 12), (96, 16, 9)]  # Channels, P, Bits


@pytest.fixture(scope="module", params=SHAPES, ids=lambda shape: "C{}-P{}-B{}".format(*shape))
def shape(request):
    return request.param


@pytest.fixture(scope="module")
def module(shape, tmp_path_factory):
    channels, p, bits = shape
    parameters = {"Channels": channels, "P": p, "Bits": bits, "TableFile": "table.mem"}
    return RtlModule("vote_select", parameters, {"in": p}, {"out": p * bits}, workdir=tmp_path_factory.mktemp("memory"))


def check(module, shape, **options):
    channels, p, bits = shape
    lo, hi = (random_signed((channels,), bits, seed) for seed in (1, 2))
    votes = np.random.default_rng(3).choice([-1, 1], (3, 4, 5, channels))
    pairs = np.stack([lo, hi], axis=1).reshape(-1)  # lo in the low bits
    write_memory(module.workdir / "table.mem", to_beats(pairs, 2 * p, bits), 2 * p * bits)
    run = module.run({"in": to_beats(votes, p, 1, bipolar=True)}, {"out": votes.size // p}, seed=4, **options)
    chosen = from_beats(run.outputs["out"], p, bits, signed=True).reshape(votes.shape)
    np.testing.assert_array_equal(chosen, np.where(votes > 0, hi, lo))
    return run.cycles - votes.size // p


@at_all_rates
def test_picks_by_vote(module, shape, p_valid, p_ready):
    check(module, shape, p_valid=p_valid, p_ready=p_ready)


def test_passes_a_beat_a_cycle(module, shape):
    assert check(module, shape) == 1


@pytest.mark.parametrize("reset_at", [1, 29])
def test_reset_returns_to_channel_0(module, shape, reset_at):
    check(module, shape, p_valid=0.8, p_ready=0.8, reset_at=reset_at)
