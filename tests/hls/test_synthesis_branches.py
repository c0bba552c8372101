"""What stands under `#ifdef __SYNTHESIS__` computes the same: bit counts by loops, sums of exactly their bits."""

import numpy as np
import pytest

from tests.ops.nodes import hardware_op

from . import test_avg_pool, test_global_pool, test_int_conv, test_weight_stationary, test_xnor_popcount
from .binary import ACTIVATIONS
from .harness import label, run_cases

# ap_int itself must not know: with __SYNTHESIS__ it asks for headers that only Vitis has.
PRELUDE = "#include <ap_int.h>\n#include <hls_stream.h>\n#define __SYNTHESIS__\n"
HEADERS = ("avg_pool", "global_pool", "int_conv", "weight_stationary")
INCLUDES = ACTIVATIONS + "".join(f'#include "{name}.hpp"\n' for name in HEADERS)
CONVOLUTIONS = test_int_conv.SHAPES[1:3]
AVERAGES = test_avg_pool.SHAPES[1:3]
GLOBAL_AVERAGES = test_global_pool.SHAPES[1:3]  # sums of 5 and 37 bits
NAMES = """ties always never wide masked masked_65_bits channel_thresholds scale_to_32_bits scale_masked masked_sums
           groups_of_3 groups_of_2_ties_lose groups_of_9_in_beats_of_3 groups_of_64 short_last_group_of_one_beat
           minus_one zero_odd plus_one thresholds scale groups_of_2 short_last_group""".split()
ALL = {engine.name: engine for engine in (*test_weight_stationary.ENGINES, *test_xnor_popcount.ENGINES)}
ENGINES = {name: ALL[name] for name in NAMES}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    cases = [engine.case() for engine in ENGINES.values()]
    for source, shapes in (
        (test_int_conv, CONVOLUTIONS),
        (test_avg_pool, AVERAGES),
        (test_global_pool, GLOBAL_AVERAGES),
    ):
        cases += [source.case(shape) for shape in shapes]
    return run_cases("xnor_popcount", cases, tmp_path_factory.mktemp("synthesis"), INCLUDES, PRELUDE)


@pytest.mark.parametrize("name", NAMES)
def test_equals_evaluate(results, name):
    assert np.array_equal(results[name].outputs["out"], ENGINES[name].reference())


@pytest.mark.parametrize("shape", CONVOLUTIONS, ids=label)
def test_equals_numpy(results, shape):
    assert np.array_equal(results[label(shape)].outputs["out"], test_int_conv.reference(shape))


@pytest.mark.parametrize("shape", AVERAGES, ids=label)
def test_averages_equal_numpy(results, shape):
    assert np.array_equal(results[label(shape)].outputs["out"], test_avg_pool.reference(shape))


@pytest.mark.parametrize("shape", GLOBAL_AVERAGES, ids=label)
def test_global_averages_equal_their_node(results, shape):
    maps = test_global_pool.maps(shape)[:, None]  # a row of pixels
    op = hardware_op("GlobalPool", height=1, width=shape.pixels, channels=shape.channels, p=shape.p, bits=shape.bits)
    assert np.array_equal(results[label(shape)].outputs["out"], op.evaluate(maps).reshape(-1, shape.p))
