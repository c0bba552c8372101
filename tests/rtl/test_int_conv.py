"""rtl/int_conv.sv (with window_replay and channel_table) against its node."""

from dataclasses import dataclass

import numpy as np
import pytest

from flow.emit.memory_files import bias_words, int_weight_words, write_hex
from flow.sim.module import RtlError, RtlModule
from flow.sim.streams import to_beats
from tests.ops.nodes import hardware_op
from tests.rtl.nodes import beats_of, module_of, node_of
from tests.rtl.streams import at_all_rates, quick, random_signed

PIPELINE = 6  # cycles from a window's last beat to its last outputs, and one to spare; multipliers take one more


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
    multiplier_bits: int = 0  # no multipliers

    def __str__(self):
        sizes = f"n{self.inputs}-o{self.outputs}-pe{self.pe}-simd{self.simd}-w{self.weight_bits}"
        return f"{sizes}-m{self.multiplier_bits}-shift{self.shift}-out{self.out_bits}"

    @property
    def largest_sum(self) -> int:
        return self.inputs << self.in_bits + self.weight_bits - 2

    @property
    def cycles(self) -> int:
        return self.windows * (self.outputs // self.pe) * (self.inputs // self.simd)


CASES = [
    Case(4, 6, 6, 4, 100),  # one beat, one pass
    Case(6, 3, 1, 6, 40, weight_bits=4, out_bits=20, acc_bits=18, shift=0),  # one beat, many passes
    Case(10, 4, 4, 5, 40, in_bits=5, weight_bits=3, out_bits=8, acc_bits=13, shift=5),  # one pass; out = acc - shift
    Case(8, 4, 2, 2, 30, weight_bits=2, acc_bits=13, shift=3),
    Case(6, 4, 2, 6, 40, weight_bits=2, acc_bits=12, shift=3),  # an accumulator narrower than a sum of any six products
    Case(27, 64, 4, 3, 6, out_bits=10, acc_bits=22, shift=8),
    Case(64, 128, 2, 4, 4, shift=12),
    Case(512, 10, 1, 8, 4, out_bits=32, acc_bits=26, shift=0),  # the classifier
    Case(4, 6, 6, 4, 100, acc_bits=22, shift=10, multiplier_bits=5),  # a window a cycle, by multipliers
    Case(6, 3, 1, 6, 40, weight_bits=2, out_bits=12, acc_bits=23, shift=8, multiplier_bits=12),
    Case(10, 4, 4, 5, 40, in_bits=5, weight_bits=3, acc_bits=14, shift=6, multiplier_bits=2),  # out = acc - shift
    Case(16, 4, 2, 4, 8, out_bits=32, acc_bits=27, shift=0, multiplier_bits=8),  # no saturation
    Case(64, 32, 2, 4, 4, acc_bits=40, shift=29, multiplier_bits=18),
]


@dataclass(frozen=True)
class Engine:
    case: Case
    weights: np.ndarray
    bias: np.ndarray
    multiplier: np.ndarray | int
    module: RtlModule

    def sums(self, windows: np.ndarray) -> np.ndarray:
        return self.multiplier * (windows @ self.weights.T) + self.bias

    def check(self, windows: np.ndarray, **options) -> int:
        case = self.case
        node = hardware_op("IntConv", out_bits=case.out_bits, shift=case.shift)
        outputs = node.evaluate(windows, self.weights, self.bias, self.multiplier)
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
    """Weights and multipliers over the whole range, those of outputs 0 and 1 at its ends; biases that do not hide the sums.

    Only the last output has a bias as large as the accumulator has room for.
    """
    weights = random_signed((case.outputs, case.inputs), case.weight_bits, seed=4)
    weights[0], weights[1] = -(1 << case.weight_bits - 1), (1 << case.weight_bits - 1) - 1
    multiplier, scaled = write_multipliers(case, folder) if case.multiplier_bits else (1, {})
    largest = case.largest_sum * int(np.abs(multiplier).max())
    bias = np.random.default_rng(5).integers(-largest // 16, largest // 16, case.outputs)
    bias[-1] = (1 << case.acc_bits - 1) - largest - 1
    write_hex(
        folder / "weights.hex",
        int_weight_words(weights, case.pe, case.simd, case.weight_bits),
        case.pe * case.simd * case.weight_bits,
    )
    write_hex(folder / "biases.hex", bias_words(bias, case.pe, case.acc_bits), case.pe * case.acc_bits)
    parameters = dict(
        Inputs=case.inputs,
        Outputs=case.outputs,
        Pe=case.pe,
        Simd=case.simd,
        InBits=case.in_bits,
        WeightBits=case.weight_bits,
        OutBits=case.out_bits,
        AccBits=case.acc_bits,
        Shift=case.shift,
        WeightFile="weights.hex",
        BiasFile="biases.hex",
    )
    streams = {"in": case.simd * case.in_bits}, {"out": case.pe * case.out_bits}
    return Engine(case, weights, bias, multiplier, RtlModule("int_conv", parameters | scaled, *streams, workdir=folder))


def write_multipliers(case: Case, folder) -> tuple[np.ndarray, dict]:
    bits = case.multiplier_bits
    multiplier = random_signed((case.outputs,), bits, seed=6)
    multiplier[0], multiplier[1] = -(1 << bits - 1), (1 << bits - 1) - 1
    write_hex(folder / "multipliers.hex", bias_words(multiplier, case.pe, bits), case.pe * bits)
    return multiplier, {"Scaled": 1, "MultiplierBits": bits, "MultiplierFile": "multipliers.hex"}


@pytest.fixture(scope="module", params=quick(CASES, 1, 3, 5, 9, 12), ids=str)
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
    assert engine.check(engine.random_windows()) <= engine.case.cycles + PIPELINE + (engine.case.multiplier_bits > 0)


@pytest.mark.parametrize("after", [3, 4, 5, 6])
def test_reset_in_mid_window(engine, after):
    engine.check(engine.random_windows(), p_valid=0.7, p_ready=0.7, reset_at=engine.case.cycles // 2 + after)


@pytest.mark.parametrize("scaled", [False, True], ids=["plain", "scaled"])
def test_the_emitted_cell_is_just_wide_enough(tmp_path, scaled):
    """Sums, multipliers and biases that use every bit of the widths that the emitter derives from them."""
    weights = random_signed((4, 9), 4, seed=7)
    weights[0] = np.where(weights[0] < 0, -8, 7)
    constants = (weights, np.array([-900_000, 5, 0, 900_000]), np.array([-128, 0, 127, 1]))[: 2 + scaled]
    node = node_of(
        "IntConv",
        *constants,
        height=1,
        width=32,
        channels=9,
        features=4,
        weight_bits=4,
        acc_bits=22,
        out_bits=20,
        shift=1,
        pe=2,
        simd=3,
    )
    highest = np.where(weights[0] < 0, -128, 127)
    windows = np.vstack([random_signed((30, 9), 8, seed=8), highest, -1 - highest])
    expected = beats_of(node.op.evaluate(windows, *constants), node.op.outputs()[0])
    sent = {"in": beats_of(windows, node.op.inputs()[0])}
    assert module_of(node, tmp_path).run(sent, {"out": len(expected)}).outputs["out"] == expected


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"Pe": 4}, "Pe 4 does not divide"),
        ({"Simd": 4}, "Simd 4 does not divide"),
        ({"Shift": 20}, "Shift 20 is not less than"),
        ({"Scaled": 2}, "Scaled is 2, must be 0 or 1"),
        ({"WeightBits": 1}, "WeightBits is 1, must be at least 2"),
    ],
    ids=["pe", "simd", "shift", "scaled", "weight_bits"],
)
def test_refuses_parameters_that_do_not_fit(tmp_path, wrong, message):
    parameters = {"Inputs": 10, "Outputs": 2, "Pe": 1, "Simd": 2, "AccBits": 20, "Shift": 2} | wrong
    write_hex(tmp_path / "words.hex", [], 8)
    files = {"WeightFile": "words.hex", "BiasFile": "words.hex"}
    streams = {"in": 8 * parameters["Simd"]}, {"out": 8 * parameters["Pe"]}
    module = RtlModule("int_conv", parameters | files, *streams, workdir=tmp_path)
    with pytest.raises(RtlError, match=message):
        module.run({"in": []}, {"out": 0})
