"""What stands under `#ifdef __SYNTHESIS__` computes the same: bit counts by loops, sums of exactly their bits."""

import numpy as np
import pytest

from . import test_int_conv, test_weight_stationary, test_xnor_popcount
from .binary import ACTIVATIONS
from .harness import label, run_cases

# ap_int itself must not know: with __SYNTHESIS__ it asks for headers that only Vitis has.
PRELUDE = "#include <ap_int.h>\n#include <hls_stream.h>\n#define __SYNTHESIS__\n"
INCLUDES = ACTIVATIONS + '#include "int_conv.hpp"\n#include "weight_stationary.hpp"\n'
CONVOLUTIONS = test_int_conv.SHAPES[1:3]
NAMES = """ties always never wide masked masked_65_bits channel_thresholds scale_to_32_bits scale_masked masked_sums groups_of_3
           groups_of_2_ties_lose groups_of_9_in_beats_of_3 groups_of_64 short_last_group_of_one_beat
           minus_one zero_odd plus_one thresholds scale groups_of_2 short_last_group""".split()
ALL = {engine.name: engine for engine in (*test_weight_stationary.ENGINES, *test_xnor_popcount.ENGINES)}
ENGINES = {name: ALL[name] for name in NAMES}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    cases = [test_int_conv.case(shape) for shape in CONVOLUTIONS] + [engine.case() for engine in ENGINES.values()]
    return run_cases("xnor_popcount", cases, tmp_path_factory.mktemp("synthesis"), INCLUDES, PRELUDE)


@pytest.mark.parametrize("name", NAMES)
def test_equals_evaluate(results, name):
    assert np.array_equal(results[name].outputs["out"], ENGINES[name].reference())


@pytest.mark.parametrize("shape", CONVOLUTIONS, ids=label)
def test_equals_numpy(results, shape):
    assert np.array_equal(results[label(shape)].outputs["out"], test_int_conv.reference(shape))
