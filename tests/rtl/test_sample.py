"""rtl/sample.sv against its node."""

import numpy as np
import pytest

from flow.sim.module import RtlError, RtlModule
from flow.sim.streams import to_beats
from tests.ops.nodes import hardware_op
from tests.rtl.streams import at_all_rates, random_signed

CASES = [(8, 1, 2), (96, 1, 3), (6, 9, 6), (4, 5, 1)]  # P, Bits, Ratio


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "P{}-B{}-R{}".format(*case))
def case(request):
    return request.param


@pytest.fixture(scope="module")
def module(case):
    return build(*case)


def build(p, bits, ratio):
    return RtlModule("sample", {"P": p, "Bits": bits, "Ratio": ratio}, {"in": p * bits}, {"out": p // ratio * bits})


def check(module, case, **options):
    p, bits, ratio = case
    shape = (2, 3, 4, 5 * p)
    bipolar = bits == 1
    x = np.random.default_rng(1).choice([-1, 1], shape) if bipolar else random_signed(shape, bits, seed=1)
    expected = to_beats(hardware_op("Sample", ratio=ratio).evaluate(x), p // ratio, bits, bipolar=bipolar)
    run = module.run({"in": to_beats(x, p, bits, bipolar=bipolar)}, {"out": len(expected)}, seed=2, **options)
    assert run.outputs["out"] == expected
    return run.cycles - len(expected)


@at_all_rates
def test_equals_its_node(module, case, p_valid, p_ready):
    check(module, case, p_valid=p_valid, p_ready=p_ready)


def test_has_no_register(module, case):
    assert check(module, case) == 0


def test_reset_in_mid_frame(module, case):
    check(module, case, p_valid=0.7, p_ready=0.7, reset_at=50)


def test_refuses_a_ratio_that_does_not_divide():
    with pytest.raises(RtlError, match="Ratio = 3 does not divide the 8 elements"):
        build(8, 4, 3).run({"in": []}, {"out": 0})
