"""hls/majority_vote.hpp against numpy: the node is a function of its counts, so the driver puts streams around it."""

from collections import namedtuple

import numpy as np
import pytest

from .harness import Case, label, run_cases

Shape = namedtuple("Shape", "pe count_bits threshold")
SHAPES = [Shape(1, 4, 5), Shape(4, 10, 288), Shape(64, 10, 289), Shape(65, 3, 0), Shape(4, 10, 1023)]

WRAPPER = """
template <unsigned Pe, unsigned CountBits, int Threshold, unsigned Beats>
void votes(hls::stream<flow::beat<Pe, CountBits>>& in, hls::stream<flow::beat<Pe, 1>>& out) {
    for (unsigned b = 0; b < Beats; ++b) {
        flow::count<CountBits> counts[Pe];
        flow::unpack<Pe, CountBits>(in.read(), counts);
        out.write(flow::majority_vote<Pe, CountBits, Threshold>(counts));
    }
}
"""


def counts(shape):
    largest = 2 ** shape.count_bits - 1
    near = np.random.default_rng(shape.pe).integers(-2, 3, (16, shape.pe)) + shape.threshold
    anywhere = np.random.default_rng(1).integers(0, largest + 1, (16, shape.pe))
    return np.vstack([near.clip(0, largest), anywhere])


def case(shape):
    x = counts(shape)
    return Case(label(shape), f"votes<{', '.join(map(str, shape))}, {len(x)}>", inputs={"in": (x, shape.count_bits)},
                outputs={"out": (shape.pe, 1)}, arguments=("in", "out"), frames=1)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    cases = [case(s) for s in SHAPES]
    return run_cases("majority_vote", cases, tmp_path_factory.mktemp("majority_vote"), definitions=WRAPPER)


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_votes_at_the_threshold(results, shape):
    assert np.array_equal(results[label(shape)].outputs["out"], counts(shape) >= shape.threshold)
