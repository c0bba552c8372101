"""hls/majority_vote.hpp against numpy."""

import pytest

from flow.sim.streams import to_beats

from .activation import DEFINITIONS, activation_instance, random_sums
from .harness import run

THRESHOLDS = {"exact": 0, "ties_lose": 1, "never": 577, "always": -576, "low": -32}
PES = {"one": 1, "four": 4, "over_a_word": 65}
CASES = [(f"{threshold}_{pe}", THRESHOLDS[threshold], PES[pe]) for threshold in THRESHOLDS for pe in PES]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    instances = [
        activation_instance(name, f"majority_vote<{threshold}>", random_sums(576, pe), pe, 1)
        for name, threshold, pe in CASES
    ]
    return run(["majority_vote"], instances, tmp_path_factory.mktemp("majority_vote"), DEFINITIONS)


@pytest.mark.parametrize("name, threshold, pe", CASES, ids=[name for name, *_ in CASES])
def test_votes_at_the_threshold(results, name, threshold, pe):
    expected = (random_sums(576, pe) >= threshold).astype(int)
    assert results[name].outputs["out"] == to_beats(expected, pe, 1)
