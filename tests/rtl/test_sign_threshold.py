import numpy as np
import pytest

from flow.sim.module import RtlError, RtlModule
from flow.sim.streams import from_beats, to_beats
from tests.rtl.streams import at_all_rates, random_signed, write_memory

SHAPES = [(8, 8, 10), (12, 4, 8), (64, 1, 12), (96, 16, 9)]  # Channels, P, Bits


@pytest.fixture(scope="module", params=SHAPES, ids=lambda shape: "C{}-P{}-B{}".format(*shape))
def shape(request):
    return request.param


@pytest.fixture(scope="module")
def module(shape, tmp_path_factory):
    channels, p, bits = shape
    parameters = {"Channels": channels, "P": p, "Bits": bits, "ThresholdFile": "thresholds.mem"}
    return RtlModule(
        "sign_threshold", parameters, {"in": p * bits}, {"out": p}, workdir=tmp_path_factory.mktemp("memory")
    )


def check(module, shape, **options):
    channels, p, bits = shape
    thresholds = random_signed((channels,), bits, seed=1)
    x = random_signed((3, 4, 5, channels), bits, seed=2)
    x[0, 0] = thresholds  # equal is +1
    write_memory(module.workdir / "thresholds.mem", to_beats(thresholds, p, bits), p * bits)
    run = module.run({"in": to_beats(x, p, bits)}, {"out": x.size // p}, seed=3, **options)
    signs = from_beats(run.outputs["out"], p, 1, bipolar=True).reshape(x.shape)
    np.testing.assert_array_equal(signs, np.where(x >= thresholds, 1, -1))
    return run.cycles - x.size // p


@at_all_rates
def test_compares_each_channel(module, shape, p_valid, p_ready):
    check(module, shape, p_valid=p_valid, p_ready=p_ready)


def test_passes_a_beat_a_cycle(module, shape):
    assert check(module, shape) == 1


@pytest.mark.parametrize("reset_at", [1, 29])
def test_reset_returns_to_channel_0(module, shape, reset_at):
    check(module, shape, p_valid=0.8, p_ready=0.8, reset_at=reset_at)


def test_a_missing_file_is_an_error(module, tmp_path):
    module.workdir, workdir = tmp_path, module.workdir
    try:
        with pytest.raises(RtlError, match="thresholds.mem"):
            module.run({"in": []}, {"out": 0})
    finally:
        module.workdir = workdir
