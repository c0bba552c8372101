"""hls/group_votes.hpp against numpy, with and without the native words of C simulation."""

import numpy as np
import pytest

from flow.sim.streams import to_beats

from .harness import SYNTHESIS, Instance, run

SIZES = [
    (6, 1),
    (64, 1),
    (2, 2),
    (64, 2),
    (3, 3),
    (63, 3),
    (40, 4),
    (35, 5),
    (8, 8),
    (64, 8),
    (63, 9),
    (50, 10),
    (64, 32),
    (64, 64),
]
SHAPES = [
    (simd, group, least)
    for simd, group in SIZES
    for least in sorted({-1, 0, 1, group // 2, group // 2 + 1, group, group + 1})
]
PATTERNS = 32

DEFINITIONS = """
template <unsigned Simd, unsigned Group, int Least, unsigned Words>
void votes(hls::stream<flow::beat<Simd, 1>>& in, hls::stream<flow::beat<1, 8>>& out) {
    for (unsigned i = 0; i < Words; ++i)
        out.write(flow::group_votes<Simd, Group, Least>(static_cast<flow::word<Simd>>(in.read().to_uint64())));
}
"""


def words(simd, group):
    """Bits that are 1 in none, half or all of a group's places, and in between."""
    rng = np.random.default_rng(group)
    density = rng.choice([0, 0.25, 0.5, 0.75, 1], (PATTERNS, simd // group, 1))
    return (rng.random((PATTERNS, simd // group, group)) < density).astype(int).reshape(PATTERNS, simd)


def instance(simd, group, least):
    name = f"case_{simd}_{group}_{least}".replace("-", "minus")
    return Instance(
        name,
        f"votes<{simd}, {group}, {least}, {PATTERNS}>",
        inputs={"in": (to_beats(words(simd, group), simd, 1), simd)},
        outputs={"out": 8},
        arguments=("in", "out"),
        frames=1,
    )


@pytest.fixture(scope="module", params=["", SYNTHESIS], ids=["native", "synthesis"])
def results(request, tmp_path_factory):
    instances = [instance(*shape) for shape in SHAPES]
    return run(["group_votes"], instances, tmp_path_factory.mktemp("group_votes"), DEFINITIONS, request.param)


@pytest.mark.parametrize("simd, group, least", SHAPES)
def test_counts_the_groups_that_reach_least(results, simd, group, least):
    expected = (words(simd, group).reshape(PATTERNS, -1, group).sum(axis=-1) >= least).sum(axis=-1)
    assert results[instance(simd, group, least).name].outputs["out"] == expected.tolist()
