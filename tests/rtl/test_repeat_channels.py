"""rtl/repeat_channels.sv (with window_replay) against its node."""

import numpy as np
import pytest

from flow.sim.module import RtlError, RtlModule
from flow.sim.streams import to_beats
from tests.ops.nodes import hardware_op
from tests.rtl.streams import at_all_rates, random_signed

CASES = [(1, 1, 1, 2), (64, 8, 10, 2), (6, 6, 4, 3), (15, 3, 5, 5), (96, 96, 1, 2), (8, 2, 8, 1)]  # Channels, P, Bits, Times


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "C{}-P{}-B{}-T{}".format(*case))
def case(request):
    return request.param


@pytest.fixture(scope="module")
def module(case):
    return build(*case)


def build(channels, p, bits, times):
    parameters = {"Channels": channels, "P": p, "Bits": bits, "Times": times}
    return RtlModule("repeat_channels", parameters, {"in": p * bits}, {"out": p * bits})


def check(module, case, **options):
    channels, p, bits, times = case
    shape = (2, 3, 5, channels)
    bipolar = bits == 1
    x = np.random.default_rng(1).choice([-1, 1], shape) if bipolar else random_signed(shape, bits, seed=1)
    expected = to_beats(hardware_op("RepeatChannels", times=times).evaluate(x), p, bits, bipolar=bipolar)
    run = module.run({"in": to_beats(x, p, bits, bipolar=bipolar)}, {"out": len(expected)}, seed=2, **options)
    assert run.outputs["out"] == expected
    return run.cycles - len(expected)


@at_all_rates
def test_equals_its_node(module, case, p_valid, p_ready):
    check(module, case, p_valid=p_valid, p_ready=p_ready)


def test_gives_a_beat_every_cycle(module, case):
    """One cycle behind the input."""
    assert check(module, case) == 1


@pytest.mark.parametrize("reset_at", [2, 13, 31])
def test_reset_in_mid_pixel(module, case, reset_at):
    check(module, case, p_valid=0.7, p_ready=0.7, reset_at=reset_at)


@pytest.mark.parametrize(
    ("parameters", "message"), [((8, 3, 4, 2), "P = 3 does not divide 8 channels"), ((8, 4, 4, 0), "Times is 0")],
    ids=["P", "Times"],
)  # fmt: skip
def test_refuses_parameters(parameters, message):
    with pytest.raises(RtlError, match=message):
        build(*parameters).run({"in": []}, {"out": 0})
