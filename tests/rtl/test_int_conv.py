"""rtl/int_conv.sv (with window_replay) against numpy."""

from dataclasses import dataclass

import numpy as np
import pytest

from flow.emit.memory_files import bias_words, int_weight_words, write_hex
from flow.sim.module import RtlError, RtlModule
from flow.sim.streams import to_beats
from tests.rtl.streams import at_all_rates, random_signed

PIPELINE = 6  # cycles from a window's last beat to its last outputs, and one to spare


@dataclass(frozen=True)
class Case:
    inputs: int
    outputs: int
    pe: int
    simd: int
    windows: int
    in_bits: int = 8
    weight_bits: int = 8
    out_bits: int = 8
    acc_bits: int = 24
    shift: int = 6

    def __str__(self):
        return f"n{self.inputs}-o{self.outputs}-pe{self.pe}-simd{self.simd}-shift{self.shift}-out{self.out_bits}"

    @property
    def cycles(self) -> int:
        return self.windows * (self.outputs // self.pe) * (self.inputs // self.simd)


CASES = [
    Case(4, 6, 6, 4, 100),  # one beat, one pass
    Case(6, 3, 1, 6, 40, weight_bits=4, out_bits=20, acc_bits=18, shift=0),  # one beat, many passes
    Case(10, 4, 4, 5, 40, in_bits=5, weight_bits=3, out_bits=8, acc_bits=13, shift=5),  # one pass; out = acc - shift
    Case(27, 64, 4, 3, 6, out_bits=10, acc_bits=22, shift=8),
    Case(64, 128, 2, 4, 4, shift=12),
    Case(512, 10, 1, 8, 4, out_bits=32, acc_bits=26, shift=0),  # the classifier
]


@dataclass(frozen=True)
class Engine:
    case: Case
    weights: np.ndarray
    bias: np.ndarray
    module: RtlModule

    def sums(self, windows: np.ndarray) -> np.ndarray:
        return windows @ self.weights.T + self.bias

    def check(self, windows: np.ndarray, **options) -> int:
        case = self.case
        low, high = -(1 << case.out_bits - 1), (1 << case.out_bits - 1) - 1
        outputs = np.clip(self.sums(windows) >> case.shift, low, high)
        expected = to_beats(outputs, case.pe, case.out_bits)
        sent = to_beats(windows, case.simd, case.in_bits)
        run = self.module.run({"in": sent}, {"out": len(expected)}, seed=1, **options)
        assert run.outputs["out"] == expected
        return run.cycles

    def random_windows(self) -> np.ndarray:
        """Random elements; small ones in every second window, or all outputs would be saturated."""
        windows = random_signed((self.case.windows, self.case.inputs), self.case.in_bits, seed=3)
        windows[::2] >>= self.case.in_bits // 2
        return windows

    def extreme_windows(self) -> np.ndarray:
        """The windows that drive the last outputs and the first ones as far up and down as they go, and constant ones."""
        low, high = -(1 << self.case.in_bits - 1), (1 << self.case.in_bits - 1) - 1
        steepest = [np.where(sign * row > 0, high, low) for row in self.weights[[0, 1, -1]] for sign in (1, -1)]
        return np.stack([*steepest, *(np.full(self.case.inputs, value) for value in (low, high, 0, -1))])


def build(case: Case, folder) -> Engine:
    """Weights over the whole range, of outputs 0 and 1 all at its low and high end; biases that do not hide the sums.

    Only the last output has a bias as large as the accumulator has room for.
    """
    weights = random_signed((case.outputs, case.inputs), case.weight_bits, seed=4)
    weights[0], weights[1] = -(1 << case.weight_bits - 1), (1 << case.weight_bits - 1) - 1
    largest_sum = case.inputs << case.in_bits + case.weight_bits - 2
    bias = np.random.default_rng(5).integers(-largest_sum // 16, largest_sum // 16, case.outputs)
    bias[-1] = (1 << case.acc_bits - 1) - largest_sum - 1
    write_hex(
        folder / "weights.hex",
        int_weight_words(weights, case.pe, case.simd, case.weight_bits),
        case.pe * case.simd * case.weight_bits,
    )
    write_hex(folder / "biases.hex", bias_words(bias, case.pe, case.acc_bits), case.pe * case.acc_bits)
    parameters = dict(
        Inputs=case.inputs, Outputs=case.outputs, Pe=case.pe, Simd=case.simd, InBits=case.in_bits, WeightBits=case.weight_bits,
        OutBits=case.out_bits, AccBits=case.acc_bits, Shift=case.shift, WeightFile="weights.hex", BiasFile="biases.hex",
    )  # fmt: skip
    streams = {"in": case.simd * case.in_bits}, {"out": case.pe * case.out_bits}
    return Engine(case, weights, bias, RtlModule("int_conv", parameters, *streams, workdir=folder))


@pytest.fixture(scope="module", params=CASES, ids=str)
def engine(request, tmp_path_factory):
    return build(request.param, tmp_path_factory.mktemp("int_conv"))


@at_all_rates
def test_equals_numpy(engine, p_valid, p_ready):
    engine.check(engine.random_windows(), p_valid=p_valid, p_ready=p_ready)


def test_few_random_sums_saturate(engine):
    """Or test_equals_numpy would see little of them."""
    shifted = engine.sums(engine.random_windows())[:, : engine.case.pe] >> engine.case.shift
    assert np.mean(np.abs(shifted) < 1 << engine.case.out_bits - 1) > 0.5


@pytest.mark.parametrize("p_ready", [1.0, 0.5])
def test_extreme_sums(engine, p_ready):
    windows = engine.extreme_windows()
    if engine.case.shift and engine.case.out_bits < engine.case.acc_bits - engine.case.shift:
        shifted = engine.sums(windows) >> engine.case.shift
        assert shifted.min() < -(1 << engine.case.out_bits - 1) and shifted.max() >= 1 << engine.case.out_bits - 1
    engine.check(windows, p_ready=p_ready)


def test_no_cycle_is_lost_between_passes_and_windows(engine):
    assert engine.check(engine.random_windows()) <= engine.case.cycles + PIPELINE


def test_reset_in_mid_window(engine):
    engine.check(engine.random_windows(), p_valid=0.7, p_ready=0.7, reset_at=engine.case.cycles // 2 + 3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"Pe": 4}, "Pe 4 does not divide"), ({"Simd": 4}, "Simd 4 does not divide"), ({"Shift": 20}, "Shift 20 is not less than")],
    ids=["pe", "simd", "shift"],
)
def test_refuses_parameters_that_do_not_fit(tmp_path, wrong, message):
    parameters = {"Inputs": 10, "Outputs": 2, "Pe": 1, "Simd": 2, "AccBits": 20, "Shift": 2} | wrong
    write_hex(tmp_path / "words.hex", [], 8)
    files = {"WeightFile": "words.hex", "BiasFile": "words.hex"}
    streams = {"in": 8 * parameters["Simd"]}, {"out": 8 * parameters["Pe"]}
    module = RtlModule("int_conv", parameters | files, *streams, workdir=tmp_path)
    with pytest.raises(RtlError, match=message):
        module.run({"in": []}, {"out": 0})
