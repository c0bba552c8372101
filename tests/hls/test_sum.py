"""hls/sum.hpp: what comes out is what went in."""

import numpy as np
import pytest

from .activation import DEFINITIONS, activation_case, random_sums
from .harness import run_cases

CASES = [("narrow", 1, 9, 5), ("just_fits", 4, 63, 7), ("odd_bits", 7, 576, 11), ("all_bits", 2, 1 << 24, 32)]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    cases = [activation_case(name, f"sum<{bits}>", random_sums(n, pe), pe, bits) for name, pe, n, bits in CASES]
    return run_cases("sum", cases, tmp_path_factory.mktemp("sum"), DEFINITIONS)


@pytest.mark.parametrize("name, pe, n, bits", CASES, ids=[name for name, *_ in CASES])
def test_is_the_sum(results, name, pe, n, bits):
    assert np.array_equal(results[name].outputs["out"], random_sums(n, pe))
