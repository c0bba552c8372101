"""What stands under `#ifdef __SYNTHESIS__` computes the same: bit counts by loops, sums of exactly their bits."""

import numpy as np
import pytest

from . import test_int_conv, test_weight_stationary, test_xnor_popcount
from .harness import label, run_cases

# ap_int itself must not know: with __SYNTHESIS__ it asks for headers that only Vitis has.
PRELUDE = "#include <ap_int.h>\n#include <hls_stream.h>\n#define __SYNTHESIS__\n"
INCLUDES = '#include "int_conv.hpp"\n#include "weight_stationary.hpp"\n'
SAMPLES = [(test_xnor_popcount, test_xnor_popcount.SHAPES[3]), (test_xnor_popcount, test_xnor_popcount.SHAPES[4]),
           (test_int_conv, test_int_conv.SHAPES[1]), (test_int_conv, test_int_conv.SHAPES[2]),
           (test_weight_stationary, test_weight_stationary.SHAPES[1])]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    cases = [module.case(shape) for module, shape in SAMPLES]
    return run_cases("xnor_popcount", cases, tmp_path_factory.mktemp("synthesis"), INCLUDES, PRELUDE)


@pytest.mark.parametrize("module, shape", SAMPLES, ids=[label(shape) for _, shape in SAMPLES])
def test_equals_numpy(results, module, shape):
    assert np.array_equal(results[label(shape)].outputs["out"], module.reference(shape))
