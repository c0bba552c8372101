"""rtl/xnor_popcount.sv (with popcount_lane, popcount_activation and window_replay) against numpy and the node's definition."""

from dataclasses import dataclass

import numpy as np
import pytest

from flow.emit.memory_files import popcount_weight_words, write_hex
from flow.emit.rtl_nodes import cell_of
from flow.errors import FlowError
from flow.sim.module import RtlError, RtlModule
from flow.sim.streams import to_beats
from tests.rtl.nodes import beats_of, module_of, node_of, signs
from tests.rtl.streams import at_all_rates, quick

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


@pytest.fixture(scope="module", params=quick(CASES, 0, 2, 4, 5), ids=str)
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


# Masks, groups and activations, against XnorPopcount.evaluate.


@dataclass(frozen=True)
class Layer:
    inputs: int
    outputs: int
    pe: int
    simd: int
    windows: int
    options: tuple  # attributes of the node

    def __str__(self):
        options = "-".join(f"{name}_{value}" for name, value in self.options)
        return f"n{self.inputs}-o{self.outputs}-pe{self.pe}-simd{self.simd}-{options}"

    @property
    def voters(self) -> int:
        """Terms of a sum: the inputs, or the groups."""
        return -(-self.inputs // dict(self.options).get("group", 1))

    @property
    def activation(self) -> str:
        return dict(self.options).get("activation", "majority_vote")

    @property
    def cycles(self) -> int:
        return self.windows * (self.outputs // self.pe) * (self.inputs // self.simd)

    def constants(self, rng) -> list[np.ndarray]:
        n, o = self.voters, self.outputs
        if self.activation == "threshold":
            thresholds = rng.integers(-5, 6, o)
            thresholds[:4] = n + 1, -n, n, 1 - n  # never; always; only just reached; only just not
            return [thresholds]
        if self.activation == "popcount_scale":
            return [rng.integers(-100, 101, o), rng.integers(-3000, 3000, o)]
        return []

    def node(self):
        rng = np.random.default_rng(4)
        return node_of(
            "XnorPopcount",
            signs(rng, self.outputs, self.inputs),
            *self.constants(rng),
            height=1,
            width=self.windows,
            channels=self.inputs,
            features=self.outputs,
            pe=self.pe,
            simd=self.simd,
            **{"activation": "majority_vote", **dict(self.options)},
        )


def layer(inputs, outputs, pe, simd, windows=60, **options):
    return Layer(inputs, outputs, pe, simd, windows, tuple(options.items()))


LAYERS = [
    layer(27, 6, 2, 9, masked=1),  # halves of odd beats
    layer(36, 6, 3, 4, masked=1, threshold=2),
    layer(18, 4, 1, 18, masked=1),  # one beat
    layer(7, 6, 6, 7, activation="threshold"),  # 8, which is never reached, has a bit more than a count
    layer(36, 8, 2, 6, activation="threshold"),
    layer(27, 6, 3, 3, activation="threshold", masked=1),
    layer(36, 8, 2, 12, activation="popcount_scale", shift=4, out_bits=8),
    layer(27, 6, 6, 27, activation="popcount_scale", shift=0, out_bits=4),  # saturates; one beat, one pass
    layer(27, 6, 1, 9, activation="popcount_scale", shift=7, out_bits=20, masked=1),
    layer(12, 6, 2, 4, activation="popcount_scale", shift=40, out_bits=8),  # only the sign is left
    layer(36, 8, 4, 6, activation="sum", out_bits=7),
    layer(31, 3, 1, 31, activation="sum", out_bits=12),
    layer(27, 6, 2, 9, activation="sum", out_bits=6, masked=1),
    layer(27, 6, 2, 9, group=3),
    layer(54, 6, 2, 18, group=3, group_threshold=1, threshold=2),
    layer(36, 4, 2, 12, group=4, group_threshold=2),  # groups that tie
    layer(48, 4, 4, 24, group=12),  # too large for a table
    layer(12, 4, 2, 4, group=1),
    layer(27, 6, 3, 9, group=9),  # a beat a group
    layer(54, 6, 2, 3, group=9),
    layer(36, 6, 2, 4, group=8),  # a short last group
    layer(44, 4, 1, 4, group=12, group_threshold=-3, threshold=2),
    layer(44, 4, 1, 4, group=12, group_threshold=12),  # more than the 8 of the short group can reach
    layer(12, 4, 2, 4, group=32),  # one short group
    layer(27, 6, 2, 9, group=3, activation="threshold"),
    layer(36, 6, 2, 4, group=8, activation="sum", out_bits=4),
    layer(27, 6, 2, 9, group=3, activation="popcount_scale", shift=3, out_bits=6),
]


@pytest.fixture(scope="module", params=quick(LAYERS, 0, 3, 6, 9, 11, 13, 16, 20, 22), ids=str)
def variant(request, tmp_path_factory):
    return request.param, module_of(request.param.node(), tmp_path_factory.mktemp("layer"))


def check_layer(variant, **options) -> int:
    case, module = variant
    node, rng = case.node(), np.random.default_rng(5)
    weights = node.constants[0]
    windows = signs(rng, 1, 1, case.windows, case.inputs)
    windows[0, 0, 0], windows[0, 0, -1] = weights[-1], -weights[0]
    if node.op.masked:
        outside = rng.random((case.windows, case.inputs // case.simd)) < 0.3
        outside[[0, -1]], outside[1] = False, True
        windows *= 1 - np.repeat(outside, case.simd, axis=1)
    expected = beats_of(node.op.evaluate(windows, *node.constants), node.op.outputs()[0])
    run = module.run({"in": beats_of(windows, node.op.inputs()[0])}, {"out": len(expected)}, seed=6, **options)
    assert run.outputs["out"] == expected
    return run.cycles


@at_all_rates
def test_equals_evaluate(variant, p_valid, p_ready):
    check_layer(variant, p_valid=p_valid, p_ready=p_ready)


def test_layers_lose_no_cycle(variant):
    assert check_layer(variant) <= variant[0].cycles + PIPELINE + 1


def test_layers_after_reset_in_mid_window(variant):
    for share in (0.3, 0.8):
        check_layer(variant, p_valid=0.7, p_ready=0.7, reset_at=int(share * variant[0].cycles) + 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group": 8}, "layer: groups of 8 do not fit 12 inputs a beat: set simd to a multiple or a divisor of 8"),
        (
            {"group": 3, "masked": 1},
            "groups of 3 have no majority outside the map: pad with -1 or [+]1, or set group to 0",
        ),
        ({"group": 3, "group_threshold": 4}, "a group_threshold of 4 all groups of 3 vote the same"),
        ({"group": 3, "group_threshold": -3}, "a group_threshold of -3 all groups of 3 vote the same"),
        ({"group": 3, "threshold": 13}, "a threshold of 13 all sums of 12 signs vote the same"),
        ({"threshold": 37}, "a threshold of 37 all sums of 36 signs vote the same"),
        ({"threshold": -36, "masked": 1}, "a threshold of -36 all sums of 36 signs vote the same"),
        ({"activation": "sum", "out_bits": 6}, "sums of 36 signs need 7 out_bits, not 6"),
        ({"activation": "relu"}, "RTL has no activation relu: it has majority_vote, threshold, popcount_scale, sum"),
    ],
)
def test_refuses_what_cannot_be_built(options, message):
    with pytest.raises(FlowError, match=message):
        cell_of(layer(36, 4, 2, 12, **options).node())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Group": 18}, "Group 18 is neither a multiple of Simd 12 nor does it divide it"),
        ({"Group": 3, "GroupThreshold": 4}, "with GroupThreshold 4 all groups of 3 vote the same"),
        ({"Group": 3, "Masked": 1}, "a group outside the map has no majority: pad with -1 or [+]1"),
        ({"Activation": "relu"}, "relu is none of majority_vote, threshold, popcount_scale, sum"),
        ({"Activation": "sum", "OutBits": 6}, "sums of 36 signs do not fit 6 bits"),
    ],
)
def test_modules_refuse_what_they_cannot_do(tmp_path, changes, message):
    for name in ("weights", "thresholds"):
        write_hex(tmp_path / f"{name}.hex", [0] * 6, 24)
    parameters = dict(
        Inputs=36, Outputs=4, Pe=2, Simd=12, Threshold=6, WeightFile="weights.hex", ThresholdFile="thresholds.hex"
    )
    inputs = {"in": 12 + changes.get("Masked", 0)}
    module = RtlModule(
        "xnor_popcount", parameters | changes, inputs, {"out": 2 * changes.get("OutBits", 1)}, workdir=tmp_path
    )
    with pytest.raises(RtlError, match=message):
        module.run({"in": []}, {"out": 0})
