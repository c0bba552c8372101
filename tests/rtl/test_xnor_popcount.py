"""rtl/xnor_popcount.sv (with popcount and window_replay) against numpy."""

from dataclasses import dataclass

import numpy as np
import pytest

from flow.emit.memory_files import popcount_weight_words, write_hex
from flow.sim.module import RtlError, RtlModule
from flow.sim.streams import to_beats
from tests.rtl.streams import at_all_rates

PIPELINE = 5  # cycles from a window's last beat to its last votes, and one to spare


@dataclass(frozen=True)
class Case:
    inputs: int
    outputs: int
    pe: int
    simd: int
    windows: int
    threshold: int | None = None

    def __str__(self):
        return f"n{self.inputs}-o{self.outputs}-pe{self.pe}-simd{self.simd}"

    @property
    def cycles(self) -> int:
        return self.windows * (self.outputs // self.pe) * (self.inputs // self.simd)


CASES = [
    Case(6, 3, 1, 2, 40),
    Case(12, 6, 6, 12, 100),  # one beat, one pass
    Case(18, 4, 1, 18, 40),  # one beat, many passes
    Case(20, 5, 5, 4, 40),  # many beats, one pass
    Case(27, 6, 2, 9, 40, threshold=9),
    Case(576, 64, 2, 32, 4),
    Case(576, 16, 4, 576, 30),
    Case(4608, 512, 4, 64, 2),
]


@dataclass(frozen=True)
class Engine:
    case: Case
    weights: np.ndarray
    ties: np.ndarray  # windows that half of the weights of every output agree with
    module: RtlModule

    def check(self, windows: np.ndarray, **options) -> int:
        case = self.case
        agree = (case.inputs + windows @ self.weights.T) // 2
        votes = agree >= ((case.inputs + 1) // 2 if case.threshold is None else case.threshold)
        expected = to_beats(votes.astype(int), case.pe, 1)
        sent = to_beats(windows, case.simd, 1, bipolar=True)
        run = self.module.run({"in": sent}, {"out": len(expected)}, seed=1, **options)
        assert run.outputs["out"] == expected
        return run.cycles

    def random_windows(self) -> np.ndarray:
        """Random signs, with a window that equals a weight, its opposite, and ties among them."""
        windows = np.random.default_rng(3).choice([-1, 1], (self.case.windows, self.case.inputs))
        windows[0] = self.weights[-1]
        windows[-1] = -self.weights[0]
        windows[1:-1:3] = self.ties[0]
        return windows


def signs_near_a_tie(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Weights [outputs, inputs], and two windows with which each of them agrees in just half of the inputs (rounded)."""
    rng = np.random.default_rng(2)
    window = rng.choice([-1, 1], case.inputs)
    flips = np.where(np.arange(case.inputs) < case.inputs // 2, -1, 1)
    weights = window * rng.permuted(np.tile(flips, (case.outputs, 1)), axis=1)
    return weights, np.stack([window, -window])


def build(case: Case, folder) -> Engine:
    weights, ties = signs_near_a_tie(case)
    write_hex(folder / "weights.hex", popcount_weight_words(weights, case.pe, case.simd), case.pe * case.simd)
    parameters = dict(Inputs=case.inputs, Outputs=case.outputs, Pe=case.pe, Simd=case.simd, WeightFile="weights.hex")
    if case.threshold is not None:
        parameters["Threshold"] = case.threshold
    module = RtlModule("xnor_popcount", parameters, {"in": case.simd}, {"out": case.pe}, workdir=folder)
    return Engine(case, weights, ties, module)


@pytest.fixture(scope="module", params=CASES, ids=str)
def engine(request, tmp_path_factory):
    return build(request.param, tmp_path_factory.mktemp("xnor_popcount"))


@at_all_rates
def test_equals_numpy(engine, p_valid, p_ready):
    engine.check(engine.random_windows(), p_valid=p_valid, p_ready=p_ready)


def test_ties_vote_plus_one(engine):
    windows = np.repeat(engine.ties, 2, axis=0)
    if engine.case.inputs % 2 == 0:
        assert not np.any(windows @ engine.weights.T)
    engine.check(windows)


def test_no_cycle_is_lost_between_passes_and_windows(engine):
    assert engine.check(engine.random_windows()) <= engine.case.cycles + PIPELINE


def test_reset_in_mid_window(engine):
    engine.check(engine.random_windows(), p_valid=0.7, p_ready=0.7, reset_at=engine.case.cycles // 2 + 3)


@pytest.mark.parametrize(("pe", "simd", "message"), [(4, 5, "Pe 4 does not divide"), (5, 3, "Simd 3 does not divide")])
def test_refuses_a_folding_that_does_not_divide(tmp_path, pe, simd, message):
    write_hex(tmp_path / "weights.hex", [0] * 5 * 4, pe * simd)
    parameters = dict(Inputs=20, Outputs=5, Pe=pe, Simd=simd, WeightFile="weights.hex")
    module = RtlModule("xnor_popcount", parameters, {"in": simd}, {"out": pe}, workdir=tmp_path)
    with pytest.raises(RtlError, match=message):
        module.run({"in": []}, {"out": 0})
