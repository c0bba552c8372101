"""rtl/rprelu.sv against its node."""

import numpy as np
import pytest

from flow.sim.module import RtlError, RtlModule
from flow.sim.streams import from_beats, to_beats
from tests.ops.nodes import hardware_op
from tests.rtl.streams import at_all_rates, random_signed, write_memory

SHAPES = [(10, 10, 10), (12, 4, 8), (64, 1, 12), (6, 3, 2)]  # Channels, P, Bits; no fewer channels than slopes
PIPELINE = 3  # cycles from a beat in to the same beat out


@pytest.fixture(scope="module", params=SHAPES, ids=lambda shape: "C{}-P{}-B{}".format(*shape))
def shape(request):
    return request.param


@pytest.fixture(scope="module")
def module(shape, tmp_path_factory):
    return build(*shape, tmp_path_factory.mktemp("memory"))


def build(channels, p, bits, folder, **wrong):
    parameters = {
        "Channels": channels,
        "P": p,
        "Bits": bits,
        "SlopeBits": slope_bits(bits),
        "TableFile": "table.mem",
    } | wrong
    return RtlModule("rprelu", parameters, {"in": p * bits}, {"out": p * bits}, workdir=folder)


def slope_bits(bits):
    return hardware_op("RPReLU", bits=bits).slope_bits


def write_triples(path, p, bits, before, slope, after):
    low, middle = bits, bits + slope_bits(bits)
    width = middle + bits
    mask = (1 << bits) - 1
    triples = [int(b) & mask | int(s) << low | (int(a) & mask) << middle for b, s, a in zip(before, slope, after)]
    words = [sum(triple << i * width for i, triple in enumerate(triples[c : c + p])) for c in range(0, len(triples), p)]
    write_memory(path, words, p * width)


def check(module, shape, **options):
    channels, p, bits = shape
    before, after = (random_signed((channels,), bits, seed) for seed in (1, 2))
    before[0] = after[0] = before[-1] = after[-1] = 0
    slope = np.arange(channels) % bits
    x = random_signed((6, 4, 5, channels), bits, seed=3)
    x[0, 0] = -before.clip(1 - (1 << bits - 1))  # u = 0 wherever that can be
    x[0, 1] = (x[0, 0] - 1).clip(-(1 << bits - 1))  # u = -1
    write_triples(module.workdir / "table.mem", p, bits, before, slope, after)
    run = module.run({"in": to_beats(x, p, bits)}, {"out": x.size // p}, seed=4, **options)
    y = from_beats(run.outputs["out"], p, bits, signed=True).reshape(x.shape)
    np.testing.assert_array_equal(y, hardware_op("RPReLU", bits=bits).evaluate(x, before, slope, after))
    return run.cycles - x.size // p


@at_all_rates
def test_equals_its_node(module, shape, p_valid, p_ready):
    check(module, shape, p_valid=p_valid, p_ready=p_ready)


def test_takes_a_beat_every_cycle(module, shape):
    assert check(module, shape) == PIPELINE


@pytest.mark.parametrize("reset_at", [1, 4, 29])
def test_reset_returns_to_channel_0(module, shape, reset_at):
    check(module, shape, p_valid=0.8, p_ready=0.8, reset_at=reset_at)


@pytest.mark.parametrize(("p", "bits"), [(4, 4), (2, 4)])
def test_every_element_and_slope(p, bits, tmp_path):
    """All x of 4 bits with all slopes and the ends, zeros and ones of before and after."""
    ends = [-(1 << bits - 1), -1, 0, 1, (1 << bits - 1) - 1]
    before, slope, after = (axis.ravel() for axis in np.meshgrid(ends, range(bits), ends))
    channels = before.size
    module = build(channels, p, bits, tmp_path)
    x = np.repeat(np.arange(-(1 << bits - 1), 1 << bits - 1)[:, None], channels, axis=1)
    write_triples(tmp_path / "table.mem", p, bits, before, slope, after)
    run = module.run({"in": to_beats(x, p, bits)}, {"out": x.size // p}, p_ready=0.8)
    y = from_beats(run.outputs["out"], p, bits, signed=True).reshape(x.shape)
    np.testing.assert_array_equal(y, hardware_op("RPReLU", bits=bits).evaluate(x, before, slope, after))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"Channels": 6}, "P = 4 does not divide 6"), ({"Bits": 1}, "1 bits, must have at least 2")],
    ids=["P", "Bits"],
)
def test_refuses_parameters(tmp_path, wrong, message):
    bits = wrong.get("Bits", 8)
    write_memory(tmp_path / "table.mem", [], 8)
    with pytest.raises(RtlError, match=message):
        build(8, 4, bits, tmp_path, **wrong).run({"in": []}, {"out": 0})
