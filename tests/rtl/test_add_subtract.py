"""rtl/add_subtract.sv, and what it asks of compressor_tree: bits of many weights."""

import numpy as np
import pytest

from tests.rtl.pins import Pins
from tests.rtl.streams import random_signed

SLOW = pytest.mark.slow
CASES = (
    {"Numbers": 16, "Bits": 2},
    {"Numbers": 9, "Bits": 8, "Masked": 1, "Corrected": 1},
    *(
        pytest.param({"Numbers": numbers, "Bits": bits, **others}, marks=SLOW)
        for numbers, bits in ((1, 2), (2, 16), (3, 8), (5, 3), (32, 2), (64, 16), (190, 4), (255, 4))
        for others in ({}, {"Corrected": 1}, {"Masked": 1})
        if numbers <= 190 or "Corrected" not in others
    ),
)


def number(values: np.ndarray, bits: int) -> int:
    return sum((int(value) & (1 << bits) - 1) << bits * i for i, value in enumerate(values))


@pytest.mark.parametrize("form", ["compressors", "countones"])
@pytest.mark.parametrize("parameters", CASES, ids=str)
def test_sums(parameters, form):
    """They come two enabled cycles after their numbers; where a beat is masked, it is that of zeros."""
    numbers, bits, masked = parameters["Numbers"], parameters["Bits"], parameters.get("Masked", 0)
    pins = Pins("add_subtract", parameters, ("+define+FLOW_COUNTONES",) if form == "countones" else ())
    rng, expected = np.random.default_rng(numbers), []
    zeros = numbers << bits - 1
    for turn in range(200):
        x = (
            random_signed((numbers,), bits, turn)
            if turn > 3
            else np.full(numbers, (-1 << bits - 1, (1 << bits - 1) - 1)[turn % 2])
        )
        add = rng.random(numbers) < rng.random() if turn > 3 else np.full(numbers, turn < 2)
        outside, enabled = masked * int(rng.integers(0, 3) == 0), int(rng.integers(0, 4) > 0)
        pins["numbers_i"], pins["add_i"] = number(x, bits), number(add, 1)
        pins["masked_i"], pins["enable_i"] = outside, enabled
        pins.eval()
        pins.clock()
        if enabled:
            complements = 0 if parameters.get("Corrected") else int((~add).sum())
            expected.append(zeros if outside else zeros + int(np.where(add, x, -x).sum()) - complements)
        if len(expected) >= 2:
            assert pins["sum_o"] == expected[-2]
    assert len(set(expected)) > 1
