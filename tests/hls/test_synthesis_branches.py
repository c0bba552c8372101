"""What stands under `#ifdef __SYNTHESIS__` computes the same: bit counts by loops, sums and counters of their bits."""

import pytest

from tests.nodes import (
    test_avg_pool,
    test_global_pool,
    test_int_conv,
    test_sliding_window,
    test_weight_stationary,
    test_width_converter,
    test_xnor_popcount,
)
from tests.nodes.harness import headers_of

from .harness import SYNTHESIS, run

BINARY = """ties always never wide masked masked_65_bits channel_thresholds scale_to_32_bits scale_masked masked_sums
            groups_of_3 groups_of_2_ties_lose groups_of_9_in_beats_of_3 groups_of_64 short_last_group_of_one_beat scale
            groups_of_2 short_last_group""".split()
STATIONARY = "minus_one zero_odd plus_one thresholds stationary_scale sums".split()
WINDOWS = test_sliding_window.TestSlidingWindow.cases[::3]
CASES = [
    *(case for case in test_xnor_popcount.TestXnorPopcount.cases if case.label in BINARY),
    *(case for case in test_weight_stationary.TestWeightStationary.cases if case.label in STATIONARY),
    *test_int_conv.TestIntConv.cases[15:17],  # multipliers; a 64-bit accumulator
    *test_avg_pool.TestAvgPool.cases[4:6],
    *test_global_pool.TestGlobalPool.cases[5:7],  # sums of 5 and 37 bits
    *WINDOWS,
    *test_width_converter.TestWidthConverter.cases[:4],
]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    instances = [case.instance() for case in CASES]
    return run(headers_of(CASES), instances, tmp_path_factory.mktemp("synthesis"), prelude=SYNTHESIS)


def test_every_named_case_is_there():
    assert len(CASES) == len(BINARY) + len(STATIONARY) + 6 + len(WINDOWS) + 4


@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_evaluate(results, case):
    assert results[case.identifier].outputs == case.output_beats()
