"""hls/popcount_scale.hpp against numpy."""

import numpy as np
import pytest

from flow.nodes.multiply_shift import shifted
from flow.nodes.stream import saturate
from flow.sim.streams import to_beats

from .activation import DEFINITIONS, activation_instance, random_sums
from .harness import run

N = 4608
# name, pe, channels, bits, shift, even
CASES = [
    ("one", 1, 3, 8, 0, 0),
    ("folded", 4, 12, 9, 12, 0),
    ("parallel", 8, 8, 10, 33, 0),
    ("all_bits", 3, 6, 32, 9, 0),
    ("far", 2, 4, 16, 63, 0),
    ("even", 2, 4, 16, 3, 1),
]


def constants(channels, shift):
    """Largest products and offsets for the first two channels; those of a network at this shift for the others."""
    rng = np.random.default_rng(shift)
    multipliers = rng.integers(-(1 << min(shift, 30)), (1 << min(shift, 30)) + 1, channels).astype(np.int32)
    offsets = rng.integers(-(1 << min(shift + 8, 60)), 1 << min(shift + 8, 60), channels)
    multipliers[:2], offsets[:2] = (-(1 << 31), (1 << 31) - 1), (1 << 62, -(1 << 62))
    return {"multipliers": multipliers, "offsets": offsets}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    instances = [
        activation_instance(
            name,
            f"popcount_scale<{bits}, {shift}, {even}>",
            random_sums(N, channels),
            pe,
            bits,
            **constants(channels, shift),
        )
        for name, pe, channels, bits, shift, even in CASES
    ]
    return run(["popcount_scale"], instances, tmp_path_factory.mktemp("popcount_scale"), DEFINITIONS)


@pytest.mark.parametrize("name, pe, channels, bits, shift, even", CASES, ids=[name for name, *_ in CASES])
def test_multiplies_shifts_and_saturates(results, name, pe, channels, bits, shift, even):
    multipliers, offsets = constants(channels, shift).values()
    expected = saturate(shifted(multipliers * random_sums(N, channels) + offsets, shift, even), bits)
    assert results[name].outputs["out"] == to_beats(expected, pe, bits)
