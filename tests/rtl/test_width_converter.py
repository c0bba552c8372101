import numpy as np
import pytest

from flow.sim.module import RtlError, RtlModule
from flow.sim.streams import to_beats
from tests.rtl.streams import at_all_rates, random_signed

SHAPES = [(1, 8, 1), (4, 4, 8), (2, 6, 5), (6, 2, 5), (64, 8, 1), (32, 16, 10)]  # InElements, OutElements, Bits


@pytest.fixture(scope="module", params=SHAPES, ids=lambda shape: "{}to{}x{}".format(*shape))
def shape(request):
    return request.param


@pytest.fixture(scope="module")
def converter(shape):
    in_elements, out_elements, bits = shape
    parameters = {"InElements": in_elements, "OutElements": out_elements, "Bits": bits}
    return RtlModule("width_converter", parameters, {"in": in_elements * bits}, {"out": out_elements * bits})


def frames(shape, seed, count=3):
    """Beats in and out of `count` frames of 5 x 5 pixels with 2 * max(InElements, OutElements) channels."""
    in_elements, out_elements, bits = shape
    array = random_signed((count, 5, 5, 2 * max(in_elements, out_elements)), bits, seed)
    if bits == 1:
        array = np.where(array < 0, 1, -1)
    return [to_beats(array, p, bits, bipolar=bits == 1) for p in (in_elements, out_elements)]


@at_all_rates
def test_regroups(converter, shape, p_valid, p_ready):
    beats, expected = frames(shape, seed=1)
    run = converter.run({"in": beats}, {"out": len(expected)}, seed=2, p_valid=p_valid, p_ready=p_ready)
    assert run.outputs["out"] == expected


def test_narrow_side_moves_every_cycle(converter, shape):
    beats, expected = frames(shape, seed=3)
    latency = 0 if shape[0] == shape[1] else 1
    assert converter.run({"in": beats}, {"out": len(expected)}).cycles == max(len(beats), len(expected)) + latency


@pytest.mark.parametrize("reset_at", [7, 30])
def test_reset_drops_a_partial_beat(converter, shape, reset_at):
    beats, expected = frames(shape, seed=4)
    run = converter.run({"in": beats}, {"out": len(expected)}, seed=5, p_valid=0.6, p_ready=0.9, reset_at=reset_at)
    assert run.outputs["out"] == expected


def test_refuses_numbers_that_do_not_divide():
    with pytest.raises(RtlError, match="neither of 4 and 6 elements divides the other"):
        RtlModule("width_converter", {"InElements": 4, "OutElements": 6}, {"in": 4}, {"out": 6}).run(
            {"in": []}, {"out": 0}
        )
