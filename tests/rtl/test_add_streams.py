import numpy as np
import pytest

from flow.sim.module import RtlModule
from flow.sim.streams import from_beats, to_beats
from tests.rtl.streams import at_all_rates, random_signed

SHAPES = [(1, 8), (4, 10), (16, 5), (2, 2)]  # P, Bits


@pytest.fixture(scope="module", params=SHAPES, ids=lambda shape: "{}x{}".format(*shape))
def shape(request):
    return request.param


@pytest.fixture(scope="module")
def adder(shape):
    p, bits = shape
    return RtlModule("add_streams", {"P": p, "Bits": bits}, {"a": p * bits, "b": p * bits}, {"out": p * bits})


def check(adder, shape, **options):
    p, bits = shape
    a, b = (random_signed((3, 6, 5, 32), bits, seed) for seed in (1, 2))
    run = adder.run({"a": to_beats(a, p, bits), "b": to_beats(b, p, bits)}, {"out": a.size // p}, seed=3, **options)
    expected = np.clip(a + b, -(1 << bits - 1), (1 << bits - 1) - 1)
    np.testing.assert_array_equal(from_beats(run.outputs["out"], p, bits, signed=True).reshape(a.shape), expected)
    return run.cycles - a.size // p


@at_all_rates
def test_equals_saturated_sum(adder, shape, p_valid, p_ready):
    check(adder, shape, p_valid=p_valid, p_ready=p_ready)


def test_adds_a_beat_a_cycle(adder, shape):
    assert check(adder, shape) == 1


def test_reset_in_mid_frame(adder, shape):
    check(adder, shape, p_valid=0.7, p_ready=0.7, reset_at=50)
