"""hls/majority_vote.hpp against numpy."""

import numpy as np
import pytest

from .activation import DEFINITIONS, activation_case, random_sums
from .harness import run_cases

THRESHOLDS = {"exact": 0, "ties_lose": 1, "never": 577, "always": -576, "low": -32}
PES = {"one": 1, "four": 4, "over_a_word": 65}
CASES = [(f"{threshold}_{pe}", THRESHOLDS[threshold], PES[pe]) for threshold in THRESHOLDS for pe in PES]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    cases = [
        activation_case(name, f"majority_vote<{threshold}>", random_sums(576, pe), pe, 1)
        for name, threshold, pe in CASES
    ]
    return run_cases("majority_vote", cases, tmp_path_factory.mktemp("majority_vote"), DEFINITIONS)


@pytest.mark.parametrize("name, threshold, pe", CASES, ids=[name for name, *_ in CASES])
def test_votes_at_the_threshold(results, name, threshold, pe):
    assert np.array_equal(results[name].outputs["out"], random_sums(576, pe) >= threshold)
