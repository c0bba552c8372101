"""hls/xnor_popcount.hpp with every activation against XnorPopcount.evaluate."""

import numpy as np
import pytest

from flow.sim.cpp import CompileError

from .binary import ACTIVATIONS, Engine
from .harness import run_cases


def engine(name, inputs, features, pixels, pe, simd, **attributes):
    return Engine(
        name,
        "XnorPopcount",
        {
            "height": 1,
            "width": pixels,
            "channels": inputs,
            "features": features,
            "pe": pe,
            "simd": simd,
            "activation": "majority_vote",
            **attributes,
        },
    )


def random_engine(seed):
    rng = np.random.default_rng(seed)
    simd, beats, pe, passes, pixels = (int(rng.integers(1, limit)) for limit in (65, 7, 6, 4, 12))
    divisor = int(rng.choice([group for group in range(1, simd + 1) if simd % group == 0]))
    voters = [{"masked": 1}, {"masked": 0}, {"group": divisor}, {"group": simd * int(rng.integers(1, beats + 2))}]
    activations = [
        {"threshold": int(rng.integers(-3, 4))},
        {"activation": "threshold"},
        {**SUM, "out_bits": (simd * beats).bit_length() + 1},
        {**SCALE, "out_bits": 1 + seed % 32, "shift": seed},
    ]
    attributes = {**voters[seed % 4], **activations[rng.integers(4)], "group_threshold": int(rng.integers(-2, 4))}
    return engine(
        f"random_{seed}", simd * beats, max(2, pe * passes), pixels, pe if pe * passes > 1 else 1, simd, **attributes
    )


SCALE = {"activation": "popcount_scale"}
SUM = {"activation": "sum"}
ENGINES = [
    engine("exact", 9, 4, 5, 2, 1),
    engine("ties", 36, 6, 7, 6, 12),
    engine("one_beat", 9, 3, 4, 3, 9, threshold=1),
    engine("always", 9, 2, 4, 1, 1, threshold=-9),
    engine("never", 9, 2, 4, 1, 1, threshold=10),
    engine("wide", 576, 128, 8, 128, 64, threshold=4),
    engine("masked", 144, 16, 16, 4, 16, masked=1),
    engine("masked_odd", 45, 4, 40, 2, 5, masked=1),
    engine("masked_bits", 9, 4, 16, 1, 1, masked=1, threshold=2),
    engine("masked_65_bits", 576, 16, 8, 4, 64, masked=1),
    engine("channel_thresholds", 36, 6, 9, 2, 12, activation="threshold"),
    engine("masked_thresholds", 45, 6, 9, 3, 15, activation="threshold", masked=1),
    engine("scale", 36, 6, 9, 3, 12, **SCALE, out_bits=9, shift=6),
    engine("scale_to_32_bits", 36, 6, 9, 1, 4, **SCALE, out_bits=32, shift=0),
    engine("scale_away", 36, 4, 9, 2, 4, **SCALE, out_bits=8, shift=63),
    engine("scale_masked", 45, 6, 9, 2, 9, **SCALE, out_bits=20, shift=3, masked=1),
    engine("sums", 64, 4, 9, 2, 16, **SUM, out_bits=8),
    engine("masked_sums", 63, 4, 9, 2, 21, **SUM, out_bits=7, masked=1),
    engine("groups_of_1", 36, 4, 9, 2, 12, group=1, group_threshold=0),
    engine("groups_of_2", 40, 4, 9, 2, 20, group=2),
    engine("groups_of_2_ties_lose", 40, 4, 9, 2, 20, group=2, group_threshold=1),
    engine("groups_of_3", 45, 4, 20, 2, 15, group=3),
    engine("groups_of_3_all_three", 63, 4, 20, 2, 63, group=3, group_threshold=2, threshold=-10),
    engine("groups_of_3_never", 45, 2, 9, 2, 15, group=3, group_threshold=4, threshold=-15),
    engine("groups_of_3_always", 45, 2, 9, 2, 15, group=3, group_threshold=-3, threshold=15),
    engine("groups_of_3_in_beats_of_1", 18, 4, 9, 2, 1, group=3),
    engine("groups_of_8", 48, 4, 20, 2, 16, group=8, group_threshold=2, threshold=1),
    engine("groups_of_9", 81, 4, 20, 2, 27, group=9),
    engine("groups_of_9_in_beats_of_3", 81, 4, 20, 2, 3, group=9, group_threshold=1, threshold=1),
    engine("groups_of_32", 192, 4, 20, 2, 64, group=32),
    engine("groups_of_64", 128, 4, 20, 2, 64, group=64, threshold=1),
    engine("short_last_group", 144, 4, 20, 2, 16, group=64, group_threshold=2, threshold=1),
    engine("short_last_group_of_one_beat", 10, 4, 20, 2, 2, group=4, group_threshold=-1),
    engine("one_short_group", 9, 4, 9, 2, 3, group=12),
    engine("groups_then_thresholds", 90, 4, 20, 2, 30, group=3, activation="threshold"),
    *map(random_engine, range(20)),
    engine("fast", 576, 64, 1024, 4, 64),
    engine("fast_masked", 576, 64, 1024, 4, 64, masked=1),
    engine("fast_thirds", 576, 64, 1024, 4, 48, group=3),
    engine("fast_windows", 576, 64, 1024, 4, 36, group=9),
    engine("fast_group_of_64", 576, 64, 1024, 4, 64, group=64),
]
NAMES = [engine.name for engine in ENGINES]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    cases = [engine.case() for engine in ENGINES]
    return run_cases("xnor_popcount", cases, tmp_path_factory.mktemp("xnor_popcount"), ACTIVATIONS)


@pytest.mark.parametrize("engine", ENGINES, ids=NAMES)
def test_equals_evaluate(results, engine):
    assert np.array_equal(results[engine.name].outputs["out"], engine.reference())


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("fast")])
def test_simulates_fast(results, name):
    """64 -> 64 channels, 3x3 on 32x32: 150 (groups of 9) to 1,000 frames/s on a quiet core, 12 by a bit loop."""
    assert results[name].frames_per_second > 30


@pytest.mark.parametrize(
    "name, group, message",
    [
        ("ties", 5, "Group must be a multiple or a divisor of Simd"),
        ("ties", 18, "Group must be a multiple or a divisor of Simd"),
        ("masked", 4, "a group outside the map has no majority"),
    ],
)
def test_refuses_groups(name, group, message, tmp_path):
    case = ENGINES[NAMES.index(name)].case()
    case.function = case.function.replace(", 1, 0, flow", f", {group}, 0, flow")
    with pytest.raises(CompileError, match=message):
        run_cases("xnor_popcount", [case], tmp_path, ACTIVATIONS)
