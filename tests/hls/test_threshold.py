"""hls/threshold.hpp against numpy."""

import numpy as np
import pytest

from flow.sim.streams import to_beats

from .activation import DEFINITIONS, activation_instance, random_sums
from .harness import run

CASES = [("one", 1, 3, 9), ("folded", 4, 12, 63), ("parallel", 8, 8, 576), ("over_a_word", 65, 130, 4608)]


def thresholds(n, channels):
    values = np.random.default_rng(channels).integers(-n // 2, n // 2, channels).astype(np.int32)
    values[:3] = -n, n + 1, n % 2
    return values


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    instances = [
        activation_instance(name, "threshold", random_sums(n, channels), pe, 1, thresholds=thresholds(n, channels))
        for name, pe, channels, n in CASES
    ]
    return run(["threshold"], instances, tmp_path_factory.mktemp("threshold"), DEFINITIONS)


@pytest.mark.parametrize("name, pe, channels, n", CASES, ids=[name for name, *_ in CASES])
def test_compares_with_the_channels_constant(results, name, pe, channels, n):
    expected = (random_sums(n, channels) >= thresholds(n, channels)).astype(int)
    assert results[name].outputs["out"] == to_beats(expected, pe, 1)
