"""flow/nodes/binary_engine.py and flow/nodes/packed.py against loops over single inputs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.nodes import NodeError, packed
from flow.nodes.binary_engine import group_votes, least_matches
from flow.nodes.windows import Windows
from tests.nodes.harness import hardware_op, random_signs

FEW = settings(max_examples=40, deadline=None)
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 20))  # pixels, outputs, inputs
SEEDS = st.integers(0, 2**32 - 1)


def sums_of(windows, weights):
    return [[sum(int(x) * int(w) for x, w in zip(window, row)) for row in weights] for window in windows]


def vote(value, threshold):
    return 1 if value >= threshold else -1


def activated(windows, weights, *constants, **attributes):
    """Output [pixels, outputs] of the activation."""
    op = hardware_op("XnorPopcount", channels=weights.shape[1], features=len(weights), **attributes)
    return op.activate(windows[None, None], weights, *constants)[0, 0]


def drawn(shape, seed, masked=False):
    pixels, outputs, n = shape
    windows = random_signs(seed, pixels, n)
    if masked:
        windows *= np.random.default_rng(seed + 1).integers(0, 2, windows.shape)
    return windows, random_signs(seed + 2, outputs, n)


@FEW
@given(SHAPES, SEEDS, st.integers(-5, 5), st.booleans())
def test_majority_vote(shape, seed, threshold, masked):
    windows, weights = drawn(shape, seed, masked)
    expected = [[vote(s, threshold) for s in row] for row in sums_of(windows, weights)]
    np.testing.assert_array_equal(
        activated(windows, weights, activation="majority_vote", threshold=threshold), expected
    )


def test_a_tie_votes_plus_one():
    windows, weights = np.array([[1, -1], [-1, 1], [-1, -1]]), np.array([[1, 1]])
    assert activated(windows, weights, activation="majority_vote").tolist() == [[1], [1], [-1]]


@FEW
@given(SHAPES, SEEDS, st.booleans())
def test_thresholds(shape, seed, masked):
    windows, weights = drawn(shape, seed, masked)
    thresholds = np.random.default_rng(seed).integers(-6, 7, len(weights))
    expected = [[vote(s, t) for s, t in zip(row, thresholds)] for row in sums_of(windows, weights)]
    np.testing.assert_array_equal(activated(windows, weights, thresholds, activation="threshold"), expected)


@FEW
@given(SHAPES, SEEDS, st.integers(0, 12), st.integers(2, 12))
def test_popcount_scale(shape, seed, shift, bits):
    windows, weights = drawn(shape, seed)
    multiplier, offset = np.random.default_rng(seed).integers(-(2**11), 2**11, (2, len(weights)))
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    expected = [
        [min(max((int(m) * s + int(b)) // 2**shift, low), high) for s, m, b in zip(row, multiplier, offset)]
        for row in sums_of(windows, weights)
    ]
    results = activated(windows, weights, multiplier, offset, activation="popcount_scale", shift=shift, out_bits=bits)
    np.testing.assert_array_equal(results, expected)


@FEW
@given(SHAPES, SEEDS, st.booleans())
def test_sum(shape, seed, masked):
    windows, weights = drawn(shape, seed, masked)
    np.testing.assert_array_equal(activated(windows, weights, activation="sum", out_bits=6), sums_of(windows, weights))


@pytest.mark.parametrize("n", [4608, 9216])
def test_sums_of_the_widest_layers_are_exact(n):
    weights = random_signs(1, 2, n)
    windows = np.stack([weights[0], -weights[0]])
    sums = activated(windows, weights, activation="sum", out_bits=16)
    assert sums[:, 0].tolist() == [n, -n]
    assert sums[0, 1] == -sums[1, 1] == int((weights[0] * weights[1]).sum())


def group_sums(windows, weights, group, threshold):
    """Sum of the votes of the groups, one group and one input at a time."""
    result = []
    for window in windows:
        row = []
        for weight in weights:
            products = [int(x) * int(w) for x, w in zip(window, weight)]
            groups = [products[start : start + group] for start in range(0, len(products), group)]
            row.append(sum(vote(sum(members), threshold) for members in groups))
        result.append(row)
    return result


@FEW
@given(SHAPES, SEEDS, st.integers(1, 24), st.integers(-3, 3))
def test_group_votes(shape, seed, group, threshold):
    windows, weights = drawn(shape, seed)
    expected = group_sums(windows, weights, group, threshold)
    np.testing.assert_array_equal(group_votes(windows, weights, group, threshold), expected)


@FEW
@given(st.integers(1, 6), SEEDS, st.sampled_from([0, 1]))
def test_groups_of_three_are_medians(groups, seed, threshold):
    windows, weights = drawn((3, 2, 3 * groups), seed)
    products = windows[:, None] * weights
    medians = [
        [sum(sorted(row[i : i + 3])[1] for i in range(0, len(row), 3)) for row in pixel] for pixel in products.tolist()
    ]
    np.testing.assert_array_equal(group_votes(windows, weights, 3, threshold), medians)


@FEW
@given(SHAPES, SEEDS, st.integers(1, 9), st.sampled_from([0, 1]), st.integers(-3, 3))
def test_hierarchical_vote(shape, seed, group, group_threshold, threshold):
    windows, weights = drawn(shape, seed)
    expected = [[vote(s, threshold) for s in row] for row in group_sums(windows, weights, group, group_threshold)]
    attributes = {"group": group, "group_threshold": group_threshold, "threshold": threshold}
    np.testing.assert_array_equal(activated(windows, weights, activation="majority_vote", **attributes), expected)


@given(st.integers(0, 300), st.integers(-320, 320))
def test_least_matches(size, threshold):
    """p matches among ``size`` signs make the sum 2p - size."""
    assert least_matches(size, threshold) == next(p for p in range(-200, 400) if p - (size - p) >= threshold)


# packed


@FEW
@given(
    st.sampled_from([1, 5, 8, 24, 64, 70, 200]),
    st.sampled_from([(0, 0), (1, 0), (3, 0), (3, 1), (3, 2), (4, 1), (9, -1), (33, 0), (70, 1), (300, 0)]),
    SEEDS,
)
def test_packed_sums(inputs, voter, seed):
    """Of one byte to more than three words, in groups of less than a byte to more than a word, and short last ones."""
    group, group_threshold = voter
    attributes = {
        "features": 4,
        "activation": "sum",
        "out_bits": 12,
        "group": group,
        "group_threshold": group_threshold,
    }
    op = hardware_op("XnorPopcount", width=3, channels=inputs, **attributes)
    windows, weights = random_signs(seed, 2, 1, 3, inputs), random_signs(seed + 1, 4, inputs)
    np.testing.assert_array_equal(op.quick(weights)(windows), op.evaluate(windows, weights))


@pytest.mark.parametrize("order", ["tap", "row", "channel"])
def test_packed_sums_of_masked_windows(order):
    """Taps outside the map have no part in a sum, in every order."""
    windows = Windows(random_signs(1, 2, 5, 4, 8), 3, 1, 1, 0, order)
    size = {"height": 5, "width": 4, "channels": 72, "masked": 1}
    op = hardware_op("XnorPopcount", **size, features=4, activation="sum", out_bits=12)
    weights = random_signs(2, 4, 72)
    np.testing.assert_array_equal(op.quick(weights)(windows), op.evaluate(windows.elements(), weights))


@FEW
@given(st.integers(1, 40), st.sampled_from([np.uint8, np.uint16, np.uint32, np.uint64]), SEEDS)
def test_ones_are_counted_with_and_without_an_instruction(count, kind, seed):
    """numpy has bitwise_count from 2.0 on; boards have an older one, and adders."""
    words = np.random.default_rng(seed).integers(0, np.iinfo(kind).max, (count, 5), kind, endpoint=True)
    words[0] = np.iinfo(kind).max
    expected = [sum(int(word).bit_count() for word in column) for column in words.T]
    assert packed._count_by_adders(word.copy() for word in words).tolist() == expected
    assert packed.count_ones(words).tolist() == expected


def test_a_map_with_zeros_is_refused():
    """Packed bits have no third value; only taps outside a map may be 0."""
    layer = hardware_op("XnorPopcount", channels=4, features=2).quick(random_signs(1, 2, 4))
    with pytest.raises(NodeError, match="^node: its input holds 0, which is no sign$"):
        layer(np.array([[[[1, -1, 0, 1]]]]))
