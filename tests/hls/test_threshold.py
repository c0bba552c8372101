"""hls/threshold.hpp against numpy."""

import numpy as np
import pytest

from .activation import DEFINITIONS, activation_case, random_sums
from .harness import run_cases

CASES = [("one", 1, 3, 9), ("folded", 4, 12, 63), ("parallel", 8, 8, 576), ("over_a_word", 65, 130, 4608)]


def thresholds(n, channels):
    values = np.random.default_rng(channels).integers(-n // 2, n // 2, channels).astype(np.int32)
    values[:3] = -n, n + 1, n % 2
    return values


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    cases = [
        activation_case(name, "threshold", random_sums(n, channels), pe, 1, thresholds=thresholds(n, channels))
        for name, pe, channels, n in CASES
    ]
    return run_cases("threshold", cases, tmp_path_factory.mktemp("threshold"), DEFINITIONS)


@pytest.mark.parametrize("name, pe, channels, n", CASES, ids=[name for name, *_ in CASES])
def test_compares_with_the_channels_constant(results, name, pe, channels, n):
    expected = random_sums(n, channels) >= thresholds(n, channels)
    assert np.array_equal(results[name].outputs["out"], expected.reshape(-1, pe))
