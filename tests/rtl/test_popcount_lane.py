"""rtl/popcount.sv, rtl/popcount_lane.sv and what they are made of (match_triple, compressor, compressor_tree)."""

import numpy as np
import pytest

from tests.rtl.pins import Pins

SIZES = [*range(1, 20), 27, 36, 63, 64, 66, 100, 128, 255]
SLOW = pytest.mark.slow


def words(bits: int, count: int, seed: int) -> np.ndarray:
    """Return bits [count, bits], of every share of ones; the first word is all 0 and the second all 1."""
    rng = np.random.default_rng(seed)
    found = (rng.random((count, bits)) < rng.random((count, 1))).astype(int)
    found[0], found[1] = 0, 1
    return found


def number(bits: np.ndarray) -> int:
    return int("".join(map(str, bits[::-1])), 2)


@pytest.mark.parametrize("bits", [n if n in (1, 5, 9, 64) else pytest.param(n, marks=SLOW) for n in SIZES])
def test_popcount(bits):
    pins = Pins("popcount", {"Bits": bits})
    for word in words(bits, 300, bits):
        pins["bits_i"] = number(word)
        pins.eval()
        assert pins["count_o"] == word.sum()


def lanes():
    """Parameters, and the function of matches [Simd] to a count."""
    for simd in SIZES:
        yield {"Simd": simd}, lambda matches: matches.sum()
    for simd in (1, 2, 9, 64):
        yield {"Simd": simd, "Masked": 1}, lambda matches: 2 * matches.sum()
    for simd, group, least in ((3, 3, 2), (66, 3, 2), (64, 64, 33), (36, 9, 5), (8, 2, 2), (60, 20, 3)):
        yield (
            {"Simd": simd, "Group": group, "Least": least},
            lambda matches, group=group, least=least: (matches.reshape(-1, group).sum(axis=1) >= least).sum(),
        )


def mark(case):
    quick = case[0] in ({"Simd": 64}, {"Simd": 9, "Masked": 1}, {"Simd": 66, "Group": 3, "Least": 2})
    return pytest.param(*case, marks=[] if quick else SLOW, id="-".join(f"{k}{v}" for k, v in case[0].items()))


@pytest.mark.parametrize("form", ["compressors", "countones"])
@pytest.mark.parametrize(("parameters", "count"), [mark(case) for case in lanes()])
def test_lane(parameters, count, form):
    """A count comes two enabled cycles after its beat; where a beat is masked, it is Simd. So it is in both forms."""
    simd, masked = parameters["Simd"], parameters.get("Masked", 0)
    pins = Pins("popcount_lane", parameters, ("+define+FLOW_COUNTONES",) if form == "countones" else ())
    rng, expected = np.random.default_rng(simd), []
    for signs, other in zip(words(simd, 200, 1), words(simd, 200, 2)):
        outside, enabled = masked * int(rng.integers(0, 3) == 0), int(rng.integers(0, 4) > 0)
        pins["signs_i"], pins["weights_i"] = number(signs), number(other)
        pins["masked_i"], pins["enable_i"] = outside, enabled
        pins.eval()
        pins.clock()
        if enabled:
            expected.append(simd if outside else count((signs == other).astype(int)))
        if len(expected) >= 2:
            assert pins["count_o"] == expected[-2]
    assert len(set(expected)) > 1
