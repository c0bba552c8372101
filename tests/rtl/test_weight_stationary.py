"""rtl/weight_stationary.sv against a binary convolution in numpy."""

from dataclasses import astuple, dataclass, fields
from functools import cached_property

import numpy as np
import pytest

from flow.sim.build import RtlError
from flow.sim.module import RtlModule
from flow.sim.streams import from_beats, to_beats
from tests.rtl.streams import at_all_rates


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
    given = {"in": to_beats(maps, case.simd, 1, bipolar=True), "weight": sum((weight_beats(w, case) for w in weights), [])}
    got = case.module.run(given, {"out": frames * case.out_beats}, seed=seed, **options)
    np.testing.assert_array_equal(from_beats(got.outputs["out"], case.pe, 1, bipolar=True).reshape(votes.shape), votes)
    return got


@at_all_rates
@pytest.mark.parametrize("case", CASES, ids=str)
def test_votes(case, p_valid, p_ready):
    run(case, 5, seed=7, p_valid=p_valid, p_ready=p_ready)


@pytest.mark.parametrize("case", CASES, ids=str)
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
        module = RtlModule("weight_stationary", case.parameters() | {"Threshold": threshold}, case.module.inputs, case.module.outputs)
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
