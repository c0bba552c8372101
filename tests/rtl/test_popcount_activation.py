"""rtl/popcount_activation.sv (threshold, multiply_shift, sum and majority_vote; channel_table) against numpy.

In channel order (Beats > 1) a group of channels stays for several beats, as in weight_stationary.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from flow.emit.rtl import write_hex
from flow.nodes.packing import grouped, words
from flow.sim.module import RtlError, RtlModule
from flow.sim.streams import to_beats
from tests.rtl.streams import at_all_rates, quick

FRAMES = 5


@dataclass(frozen=True)
class Case:
    activation: str
    pe: int
    count_bits: int
    words: int
    beats: int
    out_bits: int = 1
    shift: int = 0
    multiplier_bits: int = 1
    offset_bits: int = 1

    def __str__(self):
        return (
            f"{self.activation}-pe{self.pe}-b{self.count_bits}-words{self.words}-beats{self.beats}-out{self.out_bits}"
            f"-shift{self.shift}-m{self.multiplier_bits}-o{self.offset_bits}"
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of counts: frames, words, beats, elements."""
        return FRAMES, self.words, self.beats, self.pe


CASES = [
    Case("threshold", 1, 3, 1, 1),
    Case("threshold", 3, 5, 4, 1),
    Case("threshold", 2, 4, 3, 5),
    Case("threshold", 2, 4, 1, 6),
    Case("popcount_scale", 1, 7, 1, 1, out_bits=8, shift=4, multiplier_bits=8, offset_bits=12),
    Case("popcount_scale", 3, 5, 4, 1, out_bits=4, shift=2, multiplier_bits=6, offset_bits=20),  # wide offsets
    Case("popcount_scale", 2, 6, 3, 4, out_bits=30, shift=0, multiplier_bits=18, offset_bits=5),  # nothing to saturate
    Case("popcount_scale", 2, 4, 2, 3, out_bits=8, shift=60, multiplier_bits=4, offset_bits=9),  # only the sign is left
    Case("popcount_scale", 2, 4, 2, 1, out_bits=1, shift=3, multiplier_bits=1, offset_bits=1),
    Case("sum", 3, 5, 2, 3, out_bits=6),
    Case("sum", 1, 5, 1, 1, out_bits=12),
    Case("majority_vote", 3, 5, 2, 3),
]
THRESHOLD = 11  # what an engine has taken off the counts, for majority_vote


@dataclass(frozen=True)
class Activation:
    case: Case
    constants: list[np.ndarray]
    module: RtlModule

    def expected(self, counts: np.ndarray) -> np.ndarray:
        case = self.case
        channels = [constant.reshape(case.words, 1, case.pe) for constant in self.constants]
        if case.activation == "majority_vote":
            return (counts >= THRESHOLD).astype(int)
        if case.activation == "threshold":
            return (counts >= channels[0]).astype(int)
        if case.activation == "sum":
            return 2 * counts - voters(case)
        top = 1 << case.out_bits - 1
        return np.clip(counts * channels[0] + channels[1] >> case.shift, -top, top - 1)

    def check(self, **options) -> int:
        case = self.case
        largest = voters(case) // 2 + THRESHOLD if case.activation == "majority_vote" else voters(case)
        counts = np.random.default_rng(3).integers(0, largest + 1, case.shape)
        expected = to_beats(self.expected(counts), case.pe, case.out_bits)
        sums = (counts - THRESHOLD) if case.activation == "majority_vote" else counts
        run = self.module.run(
            {"in": to_beats(sums, case.pe, case.count_bits)}, {"out": len(expected)}, seed=4, **options
        )
        assert run.outputs["out"] == expected
        return run.cycles


def voters(case: Case) -> int:
    """The largest count."""
    return (1 << case.count_bits) - 1


def acc_bits(case: Case) -> int:
    """Bits of any product with an offset, of which the shift leaves one at least."""
    return max(max(case.count_bits + case.multiplier_bits, case.offset_bits), case.shift) + 1


def build(case: Case, folder) -> Activation:
    rng, channels = np.random.default_rng(2), case.words * case.pe
    parameters = {
        "Activation": case.activation,
        "Pe": case.pe,
        "CountBits": case.count_bits,
        "OutBits": case.out_bits,
        "Voters": voters(case),
        "Words": case.words,
        "Beats": case.beats,
        "Shift": case.shift,
        "MultiplierBits": case.multiplier_bits,
        "AccBits": acc_bits(case),
    }
    constants, files = [], {}
    if case.activation == "threshold":
        thresholds = rng.integers(0, voters(case) + 2, channels)
        thresholds[-1] = voters(case) + 1  # never
        constants, bits = [thresholds], case.count_bits + 1
        files["Threshold"] = words(grouped(thresholds, case.pe), bits, signed=False), bits
    if case.activation == "popcount_scale":
        for name, bits, width in (
            ("Multiplier", case.multiplier_bits, case.multiplier_bits),
            ("Offset", case.offset_bits, acc_bits(case)),
        ):
            constants.append(rng.integers(-(1 << bits - 1), 1 << bits - 1, channels))
            files[name] = words(grouped(constants[-1], case.pe), width), width
    for name, (memory, bits) in files.items():
        write_hex(folder / f"{name}.hex", memory, case.pe * bits)
        parameters[f"{name}File"] = f"{name}.hex"
    widths = {"in": case.pe * case.count_bits}, {"out": case.pe * case.out_bits}
    return Activation(case, constants, RtlModule("popcount_activation", parameters, *widths, workdir=folder))


@pytest.fixture(scope="module", params=quick(CASES, 2, 6, 7, 8, 10), ids=str)
def activation(request, tmp_path_factory):
    return build(request.param, tmp_path_factory.mktemp("activation"))


@at_all_rates
def test_equals_numpy(activation, p_valid, p_ready):
    activation.check(p_valid=p_valid, p_ready=p_ready)


def test_takes_a_beat_a_cycle(activation):
    case = activation.case
    assert activation.check() <= FRAMES * case.words * case.beats + 3


def test_reset_in_mid_stream(activation):
    case = activation.case
    activation.check(p_valid=0.8, p_ready=0.8, reset_at=case.words * case.beats + 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Activation": "relu"}, "relu is none of majority_vote, threshold, popcount_scale, sum"),
        ({"Activation": "sum", "OutBits": 5}, "sums of 31 signs do not fit 5 bits"),
    ],
)
def test_refuses(changes, message):
    parameters = {"Pe": 1, "CountBits": 5, "Voters": 31, **changes}
    out_bits = changes.get("OutBits", 1)
    with pytest.raises(RtlError, match=message):
        RtlModule("popcount_activation", parameters, {"in": 5}, {"out": out_bits}).run({"in": []}, {"out": 0})
