"""rtl/weight_stationary.sv against a binary convolution in numpy, and against the node's definition."""

from dataclasses import astuple, dataclass, fields
from functools import cached_property

import numpy as np
import pytest

from flow.emit.memory_files import popcount_weight_words
from flow.emit.rtl_nodes import cell_of
from flow.errors import FlowError
from flow.sim.build import RtlError
from flow.sim.module import RtlModule
from flow.sim.streams import from_beats, to_beats
from tests.rtl.nodes import beats_of, module_of, node_of
from tests.rtl.streams import at_all_rates, quick


@dataclass(frozen=True)
class Case:
    height: int
    width: int
    channels: int
    outputs: int
    kernel: int
    stride: int
    padding: int
    pe: int
    simd: int

    def __str__(self):
        return (
            f"{self.height}x{self.width}x{self.channels}-{self.outputs}-k{self.kernel}s{self.stride}p{self.padding}"
            f"-pe{self.pe}-simd{self.simd}"
        )

    @property
    def inputs(self):
        return self.kernel**2 * self.channels

    @property
    def out_shape(self):
        return tuple((size + 2 * self.padding - self.kernel) // self.stride + 1 for size in (self.height, self.width))

    @property
    def walk(self):
        """Cycles a weight word is held."""
        return self.out_shape[0] * self.out_shape[1]

    @property
    def interval(self):
        """Cycles a frame."""
        return self.outputs // self.pe * (self.inputs // self.simd) * self.walk

    @property
    def in_beats(self):
        return self.height * self.width * self.channels // self.simd

    @property
    def out_beats(self):
        return self.walk * self.outputs // self.pe

    def parameters(self):
        return {field.name.capitalize(): value for field, value in zip(fields(self), astuple(self), strict=True)}

    @cached_property
    def module(self):
        inputs = {"in": self.simd, "weight": self.pe * self.simd}
        return RtlModule("weight_stationary", self.parameters(), inputs, {"out": self.pe})


CASES = [
    Case(8, 8, 256, 6, 3, 2, 1, pe=2, simd=32),  # the first of stage 4, fewer outputs
    Case(4, 4, 512, 8, 3, 1, 1, pe=2, simd=64),  # the others
    Case(6, 5, 32, 12, 3, 1, 1, pe=4, simd=8),
    Case(5, 7, 12, 3, 3, 2, 0, pe=3, simd=4),  # one pass a frame, no padding
    Case(2, 4, 8, 10, 3, 2, 1, pe=1, simd=8),  # two pixels; one word a tap
    Case(4, 4, 16, 2, 1, 1, 0, pe=2, simd=16),  # one word a frame
    Case(9, 9, 8, 4, 5, 3, 2, pe=2, simd=4),
]


def convolve(maps, weights, case):
    """Popcounts of XNOR: maps [N, H, W, C] and weights [O, K, K, C] of -1 and +1; -1 outside the map. [N, OH, OW, O]"""
    padded = np.pad(maps, ((0, 0), *[(case.padding,) * 2] * 2, (0, 0)), constant_values=-1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (case.kernel,) * 2, axis=(1, 2))
    windows = windows[:, :: case.stride, :: case.stride]  # [N, OH, OW, C, K, K]
    return (np.einsum("nhwckl,oklc->nhwo", windows, weights) + case.inputs) // 2


def weight_beats(weights, case):
    """Word nf*SF + sf: element e*Simd + i is the weight of output nf*Pe + e and input sf*Simd + i."""
    words = weights.reshape(case.outputs // case.pe, case.pe, -1, case.simd).swapaxes(1, 2)
    return to_beats(words.reshape(-1, case.pe * case.simd), case.pe * case.simd, 1, bipolar=True)


def signs(rng, *shape):
    return rng.choice([-1, 1], shape)


def run(case, frames, seed=0, **options):
    """Other weights for every frame: the module may not keep any."""
    rng = np.random.default_rng(seed)
    maps = signs(rng, frames, case.height, case.width, case.channels)
    weights = [signs(rng, case.outputs, case.kernel, case.kernel, case.channels) for _ in range(frames)]
    counts = [convolve(maps[f : f + 1], weights[f], case) for f in range(frames)]
    votes = np.where(np.concatenate(counts) >= (case.inputs + 1) // 2, 1, -1)
    given = {
        "in": to_beats(maps, case.simd, 1, bipolar=True),
        "weight": sum((weight_beats(w, case) for w in weights), []),
    }
    got = case.module.run(given, {"out": frames * case.out_beats}, seed=seed, **options)
    np.testing.assert_array_equal(from_beats(got.outputs["out"], case.pe, 1, bipolar=True).reshape(votes.shape), votes)
    return got


@at_all_rates
@pytest.mark.parametrize("case", quick(CASES, 2, 4, 6), ids=str)
def test_votes(case, p_valid, p_ready):
    run(case, 5, seed=7, p_valid=p_valid, p_ready=p_ready)


@pytest.mark.parametrize("case", quick(CASES, 2, 4, 6), ids=str)
def test_rate(case):
    """No cycle is lost between words, passes or frames: only the first map and the last votes stand beside the intervals."""
    frames = 6
    interval = max(case.interval, case.in_beats, case.out_beats)
    fill_and_drain = case.in_beats + case.out_beats + 12
    if case.inputs == case.simd:  # both vote maps are in use until the first one has drained
        fill_and_drain += 3 * frames
    assert run(case, frames).cycles <= frames * interval + fill_and_drain


def test_weight_words_at_random():
    """Words that come at random, twice as often as the walks take them, are mostly there in time: one is fetched ahead."""
    case = CASES[1]
    cycles = run(case, 3, p_valid=2 / case.walk).cycles
    assert cycles <= 1.2 * 3 * case.interval + 8 * case.in_beats


@pytest.mark.parametrize("case", [CASES[0], CASES[2], CASES[4]], ids=str)
@pytest.mark.parametrize("part", [0.4, 1.1, 2.7])
def test_reset(case, part):
    run(case, 3, seed=1, p_valid=0.9, p_ready=0.8, reset_at=int(part * case.interval) + case.in_beats)


def test_any_threshold():
    case = CASES[4]
    for threshold in (1, 30, case.inputs):
        module = RtlModule(
            "weight_stationary", case.parameters() | {"Threshold": threshold}, case.module.inputs, case.module.outputs
        )
        rng = np.random.default_rng(threshold)
        maps = signs(rng, 1, case.height, case.width, case.channels)
        weights = signs(rng, case.outputs, case.kernel, case.kernel, case.channels)
        votes = np.where(convolve(maps, weights, case) >= threshold, 1, -1)
        given = {"in": to_beats(maps, case.simd, 1, bipolar=True), "weight": weight_beats(weights, case)}
        beats = module.run(given, {"out": case.out_beats}).outputs["out"]
        np.testing.assert_array_equal(from_beats(beats, case.pe, 1, bipolar=True).reshape(votes.shape), votes)


def test_one_pixel_is_refused():
    with pytest.raises(RtlError, match="needs 2 output pixels or more"):
        run(Case(1, 1, 8, 4, 1, 1, 0, pe=2, simd=8), 1)


# Padding, groups and activations, against WeightStationary.evaluate.


def layer(height, width, channels, features, pe, simd, kernel=3, stride=1, padding=1, **options):
    shape = dict(
        height=height, width=width, channels=channels, features=features, pe=pe, simd=simd, kernel=kernel, stride=stride
    )
    return {**shape, "padding": padding, "activation": "majority_vote", **options}


LAYERS = [
    layer(5, 4, 8, 6, 2, 4, pad_value=0),
    layer(5, 6, 9, 4, 2, 3, stride=2, pad_value=0, threshold=-2),  # halves of odd beats
    layer(3, 3, 5, 6, 3, 5, kernel=5, padding=2, pad_value=0),  # one word a tap
    layer(5, 4, 8, 6, 2, 4, pad_value=1),
    layer(4, 4, 8, 6, 2, 4, padding=0, pad_value=0),  # nothing to mask
    layer(4, 5, 7, 6, 6, 7, kernel=1, padding=0, activation="threshold"),  # 8, never reached; one word a frame
    layer(5, 4, 8, 8, 2, 4, stride=2, activation="threshold"),
    layer(5, 4, 6, 8, 4, 3, pad_value=0, activation="threshold"),
    layer(5, 4, 8, 8, 2, 4, activation="popcount_scale", shift=5, out_bits=7),
    layer(4, 4, 6, 6, 1, 6, pad_value=0, activation="popcount_scale", shift=3, out_bits=16),
    layer(4, 3, 8, 6, 3, 8, kernel=1, padding=0, activation="popcount_scale", shift=0, out_bits=5),  # one word a pass
    layer(5, 4, 8, 4, 2, 4, activation="sum", out_bits=8),
    layer(4, 4, 6, 6, 3, 3, pad_value=0, activation="sum", out_bits=9),
    layer(5, 4, 6, 6, 2, 6, group=3),
    layer(5, 4, 12, 6, 2, 6, group=2, group_threshold=2, threshold=2),
    layer(4, 4, 8, 4, 2, 4, group=8, group_threshold=1),
    layer(4, 4, 8, 4, 2, 4, group=16),  # a short last group
    layer(4, 5, 6, 6, 3, 2, group=20, group_threshold=-3, activation="threshold"),
]


def name_of(attributes) -> str:
    return "-".join(f"{name}_{value}" for name, value in attributes.items())


def constants_of(attributes, rng) -> list[np.ndarray]:
    n, features = attributes["kernel"] ** 2 * attributes["channels"], attributes["features"]
    if attributes["activation"] == "threshold":
        thresholds = rng.integers(-5, 6, features)
        thresholds[:2] = n + 1, -n
        return [thresholds]
    if attributes["activation"] == "popcount_scale":
        return [rng.integers(-100, 101, features), rng.integers(-3000, 3000, features)]
    return []


@pytest.fixture(scope="module", params=quick(LAYERS, 1, 5, 8, 10, 13, 16), ids=name_of)
def variant(request, tmp_path_factory):
    """(node without weights, module)"""
    constants = constants_of(request.param, np.random.default_rng(1))
    node = node_of("WeightStationary", np.empty(0), *constants, **request.param)
    return node, module_of(node, tmp_path_factory.mktemp("stationary"), {"weight": node.op.pe * node.op.simd})


def check_layer(variant, frames, seed=2, **options):
    """Other weights for every frame."""
    (node, module), rng = variant, np.random.default_rng(seed)
    op = node.op
    maps = signs(rng, frames, op.height, op.width, op.channels)
    weights = [signs(rng, op.features, op.window) for _ in range(frames)]
    results = [op.evaluate(maps[f : f + 1], weights[f], *node.constants[1:]) for f in range(frames)]
    given = {
        "in": beats_of(maps, op.inputs()[0]),
        "weight": [word for frame in weights for word in popcount_weight_words(frame, op.pe, op.simd)],
    }
    expected = beats_of(np.concatenate(results), op.outputs()[0])
    got = module.run(given, {"out": len(expected)}, seed=seed, **options)
    assert got.outputs["out"] == expected
    return got.cycles


@at_all_rates
def test_equals_evaluate(variant, p_valid, p_ready):
    check_layer(variant, 4, p_valid=p_valid, p_ready=p_ready)


def test_layers_lose_no_cycle(variant):
    op = variant[0].op
    waits = 4 * (op.window == op.simd)  # both vote maps are in use until the first one has drained
    assert check_layer(variant, 6) - check_layer(variant, 4) <= 2 * (op.cycles() + waits)


@pytest.mark.parametrize("part", [0.4, 1.1, 2.7])
def test_layers_after_reset(variant, part):
    op = variant[0].op
    check_layer(variant, 3, p_valid=0.9, p_ready=0.8, reset_at=int(part * op.cycles()) + op.inputs()[0].beats)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pad_value": 3}, "layer: binary maps are padded with -1, 0 or [+]1, not 3"),
        ({"pad_value": 0, "group": 4}, "groups of 4 have no majority outside the map"),
        ({"group": 3}, "groups of 3 do not fit 4 inputs a beat: set simd to a multiple or a divisor of 3"),
        ({"activation": "sum", "out_bits": 7}, "sums of 72 signs need 8 out_bits, not 7"),
    ],
)
def test_refuses_what_cannot_be_built(options, message):
    with pytest.raises(FlowError, match=message):
        cell_of(node_of("WeightStationary", np.empty(0), **layer(5, 4, 8, 4, 2, 4, **options)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"PadValue": 2}, "PadValue is 2, must be -1, 0 or 1"),
        ({"PadValue": 0, "Group": 4}, "a group outside the map has no majority: pad with -1 or [+]1"),
        ({"Group": 18}, "Group 18 is neither a multiple of Simd 4 nor does it divide it"),
    ],
)
def test_module_refuses_what_it_cannot_do(changes, message):
    case = Case(5, 4, 8, 4, 3, 1, 1, pe=2, simd=4)
    module = RtlModule(
        "weight_stationary", case.parameters() | {"Threshold": 3} | changes, case.module.inputs, case.module.outputs
    )
    with pytest.raises(RtlError, match=message):
        module.run({"in": [], "weight": []}, {"out": 0})
