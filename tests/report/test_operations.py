"""Operations of a network and of its popcount baseline, against a network that was built with its popcounts kept."""

import functools

import pytest

from brevitas_models.config import NetworkConfig
from flow.compile import integer_graph
from flow.report.operations import baseline_operations, operations
from tests.compiler.small import Layer, SmallNetwork, random_images, settle

IMAGES = random_images(32, 16)
LAYERS = (Layer(), Layer(stride=2))
CHANGES = {
    "qat": {},
    "binary": {"shortcut": "binary"},
    "duplicate": {"shortcut": "duplicate"},
    "maj3": {"voter": "maj3"},
    "hierarchical": {"voter": "hierarchical(9)"},
    "sampled": {"voter": "sample(2)"},
    "zero": {"padding": "zero"},
    "learned": {"threshold": "learned"},
}


@functools.cache
def graph(**changes):
    return integer_graph(settle(SmallNetwork(NetworkConfig(width=8, **changes), LAYERS), IMAGES), size=16)


@pytest.mark.parametrize("name", CHANGES)
def test_baseline_is_that_of_kept_popcounts(name):
    same = {key: value for key, value in CHANGES[name].items() if key in ("shortcut", "padding")}
    kept = operations(graph(strategy="none", **same))
    assert baseline_operations(graph(**CHANGES[name])) == kept
    assert kept["popcount_mul"] > 0 and operations(graph(**CHANGES[name]))["popcount_mul"] == 0


def test_a_network_with_kept_popcounts_is_its_own_baseline():
    kept = graph(strategy="none")
    assert baseline_operations(kept) == operations(kept)


def test_counts_by_hand():
    """A stem of 3x3x3 on 16x16 pixels and two layers of 3x3 on 8 channels, the second at half the size."""
    counts = operations(graph())
    assert counts["stem_rescale"] == 16 * 16 * 8
    assert counts["binary_mac"] == 16 * 16 * 8 * 72 + 8 * 8 * 16 * 72
