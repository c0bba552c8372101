"""hls/sum.hpp: what comes out is what went in."""

import pytest

from flow.sim.streams import to_beats

from .activation import DEFINITIONS, activation_instance, random_sums
from .harness import run

CASES = [("narrow", 1, 9, 5), ("just_fits", 4, 63, 7), ("odd_bits", 7, 576, 11), ("all_bits", 2, 1 << 24, 32)]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    instances = [activation_instance(name, f"sum<{bits}>", random_sums(n, pe), pe, bits) for name, pe, n, bits in CASES]
    return run(["sum"], instances, tmp_path_factory.mktemp("sum"), DEFINITIONS)


@pytest.mark.parametrize("name, pe, n, bits", CASES, ids=[name for name, *_ in CASES])
def test_is_the_sum(results, name, pe, n, bits):
    assert results[name].outputs["out"] == to_beats(random_sums(n, pe), pe, bits)
