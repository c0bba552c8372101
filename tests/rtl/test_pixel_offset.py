import numpy as np
import pytest

from flow.sim.module import RtlModule
from flow.sim.streams import from_beats, to_beats
from tests.rtl.streams import at_all_rates


@pytest.fixture(scope="module", params=[1, 3, 8], ids="P{}".format)
def module(request):
    return RtlModule("pixel_offset", {"P": request.param}, {"in": 8 * request.param}, {"out": 8 * request.param})


def check(module, **options):
    p = module.inputs["in"] // 8
    pixels = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 24))
    run = module.run({"in": to_beats(pixels, p, 8)}, {"out": pixels.size // p}, seed=2, **options)
    np.testing.assert_array_equal(from_beats(run.outputs["out"], p, 8, signed=True).reshape(pixels.shape), pixels - 128)
    return run.cycles - pixels.size // p


@at_all_rates
def test_subtracts_128(module, p_valid, p_ready):
    check(module, p_valid=p_valid, p_ready=p_ready)


def test_passes_a_beat_a_cycle(module):
    assert check(module) == 0


def test_reset_in_mid_frame(module):
    check(module, p_valid=0.7, p_ready=0.7, reset_at=50)
