"""hls/weight_stationary.hpp with every activation and padding against WeightStationary.evaluate."""

import numpy as np
import pytest

from .binary import ACTIVATIONS, Engine
from .harness import run_cases


def engine(name, height, width, channels, features, kernel, stride, padding, pe, simd, **attributes):
    return Engine(
        name,
        "WeightStationary",
        {
            "height": height,
            "width": width,
            "channels": channels,
            "features": features,
            "kernel": kernel,
            "stride": stride,
            "padding": padding,
            "pe": pe,
            "simd": simd,
            "activation": "majority_vote",
            **attributes,
        },
    )


SCALE = {"activation": "popcount_scale"}
ENGINES = [
    engine("narrow_words", 1, 1, 8, 8, 1, 1, 0, 2, 4),  # 8-bit weight words out of 64-bit DDR words
    engine("wide_words", 8, 8, 64, 4, 3, 2, 1, 2, 64),  # 128-bit weight words
    engine("even_kernel", 5, 6, 4, 16, 2, 2, 0, 16, 4, threshold=2),
    engine("minus_one", 5, 3, 8, 16, 3, 1, 1, 2, 8, pad_value=-1),
    engine("plus_one", 5, 3, 8, 16, 3, 1, 1, 2, 8, pad_value=1),
    engine("zero", 5, 3, 8, 16, 3, 1, 1, 2, 8, pad_value=0),
    engine("zero_odd", 2, 3, 3, 64, 3, 2, 2, 4, 1, pad_value=0, threshold=1),
    engine("large", 4, 4, 512, 64, 3, 1, 1, 1, 64),
    engine("large_folded", 4, 4, 512, 64, 3, 1, 1, 8, 32, pad_value=0),
    engine("thresholds", 4, 3, 8, 16, 3, 1, 1, 4, 4, activation="threshold", pad_value=0),
    engine("scale", 4, 3, 8, 16, 3, 1, 1, 4, 4, **SCALE, out_bits=9, shift=6, pad_value=0),
    engine("scale_to_32_bits", 4, 3, 8, 16, 3, 2, 1, 16, 4, **SCALE, out_bits=32, shift=2),
    engine("sums", 4, 3, 8, 16, 3, 1, 1, 4, 8, activation="sum", out_bits=8, pad_value=0),
    engine("groups_of_2", 4, 4, 8, 16, 3, 1, 1, 4, 8, group=2, group_threshold=1),
    engine("groups_of_3", 4, 4, 12, 64, 3, 1, 1, 32, 6, group=3, pad_value=1),
    engine("groups_of_64", 4, 4, 64, 8, 3, 1, 1, 2, 64, group=64, group_threshold=2, threshold=1),
    engine("short_last_group", 3, 4, 16, 16, 3, 1, 1, 4, 8, group=64, group_threshold=2, threshold=1),
    engine("groups_without_padding", 4, 4, 8, 16, 2, 2, 0, 4, 4, group=8, pad_value=0),
    engine("groups_then_thresholds", 4, 4, 8, 16, 3, 1, 1, 4, 2, group=6, activation="threshold"),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    cases = [engine.case() for engine in ENGINES]
    return run_cases("weight_stationary", cases, tmp_path_factory.mktemp("weight_stationary"), ACTIVATIONS)


@pytest.mark.parametrize("engine", ENGINES, ids=[engine.name for engine in ENGINES])
def test_equals_evaluate(results, engine):
    assert np.array_equal(results[engine.name].outputs["out"], engine.reference())
