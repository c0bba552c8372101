"""rtl/repeat_channels.sv (with window_replay) against its node."""

import numpy as np
import pytest

from flow.sim.module import RtlError, RtlModule
from tests.rtl.nodes import beats_of, module_of, node_of
from tests.rtl.streams import at_all_rates, random_signed

CASES = [
    (1, 1, 1, 2),
    (64, 8, 10, 2),
    (6, 6, 4, 3),
    (15, 3, 5, 5),
    (96, 96, 1, 2),
    (8, 2, 8, 1),
]  # Channels, P, Bits, Times


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "C{}-P{}-B{}-T{}".format(*case))
def case(request):
    return request.param


@pytest.fixture(scope="module")
def node(case):
    channels, p, bits, times = case
    return node_of("RepeatChannels", height=3, width=5, channels=channels, p=p, bits=bits, times=times)


@pytest.fixture(scope="module")
def module(node, tmp_path_factory):
    return module_of(node, tmp_path_factory.mktemp("repeat_channels"))


def check(module, node, **options):
    (taken,), (made,) = node.op.inputs(), node.op.outputs()
    shape = (2, taken.height, taken.width, taken.channels)
    x = np.random.default_rng(1).choice([-1, 1], shape) if taken.bipolar else random_signed(shape, taken.bits, seed=1)
    expected = beats_of(node.op.evaluate(x), made)
    assert len(expected) == 2 * made.beats
    run = module.run({"in": beats_of(x, taken)}, {"out": len(expected)}, seed=2, **options)
    assert run.outputs["out"] == expected
    return run.cycles - len(expected)


@at_all_rates
def test_equals_its_node(module, node, p_valid, p_ready):
    check(module, node, p_valid=p_valid, p_ready=p_ready)


def test_gives_a_beat_every_cycle(module, node):
    """One cycle behind the input."""
    assert check(module, node) == 1


@pytest.mark.parametrize("reset_at", [2, 13, 31])
def test_reset_in_mid_pixel(module, node, reset_at):
    check(module, node, p_valid=0.7, p_ready=0.7, reset_at=reset_at)


@pytest.mark.parametrize(
    ("p", "times", "message"), [(3, 2, "P = 3 does not divide 8 channels"), (4, 0, "Times is 0")], ids=["P", "Times"]
)
def test_refuses_parameters(p, times, message):
    parameters = {"Channels": 8, "P": p, "Bits": 4, "Times": times}
    with pytest.raises(RtlError, match=message):
        RtlModule("repeat_channels", parameters, {"in": 4 * p}, {"out": 4 * p}).run({"in": []}, {"out": 0})
