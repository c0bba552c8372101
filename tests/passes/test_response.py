"""The results of chains, walked and bisected, and the forms that equal them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.passes import response as module
from flow.passes.chain import chain_to_quantizer
from flow.passes.response import Response

from .graphs import QonnxGraph

CURVES = ("Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Clip")


def chain_of(kind, seed, scale, bits, signed=1):
    """A model whose image runs through a BatchNorm of 4 channels, ``kind`` and a quantizer; and that chain."""
    graph = QonnxGraph(seed=seed)
    gain, bias = graph.rng.normal(size=(2, 4))
    x = graph.node(kind, graph.batch_norm("image", gain, bias), *((-0.7, 0.9) if kind == "Clip" else ()))
    model = graph.model(graph.quant(x, scale, bits, signed=signed))
    return model, chain_to_quantizer(model, model.graph.node[0])


def real(integers):
    return integers * 0.03


def run(model, chain, integers, scale):
    """The results of the chain, as the graph computes it."""
    return np.rint(module.evaluate_chain(model, chain, real(integers), 4) / scale).astype(int)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(CURVES), st.integers(0, 10**6), st.integers(2, 6), st.integers(0, 1), st.integers(1, 2))
def test_results_are_those_of_the_chain(kind, seed, bits, signed, stride):
    model, chain = chain_of(kind, seed, 0.21, bits, signed)
    found = Response.of(model, chain, -60, 60, real, 4, 0.21, stride)
    integers = np.arange(-60, 61, stride)
    expected = run(model, chain, integers, 0.21)
    np.testing.assert_array_equal(found.results(integers[:, None] + np.zeros(4, int)), expected)
    turned = found.turned()
    signs = np.where(found.falling, -1, 1)
    np.testing.assert_array_equal(turned.results(integers[:, None] * signs), expected)
    assert not turned.falling.any()
    points, results = found.points()
    places = (points - integers[0]) // stride
    np.testing.assert_array_equal(results, np.take_along_axis(expected, places, axis=0))


@pytest.mark.parametrize("kind", ["Relu", "LeakyRelu", "Sigmoid", "Clip"])
@pytest.mark.parametrize("stride", [1, 2])
def test_bisection_finds_what_a_walk_finds(kind, stride, monkeypatch):
    model, chain = chain_of(kind, 5, 0.07, 6)
    walked = Response.of(model, chain, -500, 500, real, 4, 0.07, stride)
    monkeypatch.setattr(module, "MOST_VALUES", 0)
    bisected = Response.of(model, chain, -500, 500, real, 4, 0.07, stride)
    for name in ("base", "rises", "falls"):
        np.testing.assert_array_equal(getattr(walked, name), getattr(bisected, name))


def test_a_curve_that_turns_on_millions_of_integers_is_none(monkeypatch):
    model, chain = chain_of("HardSwish", 5, 0.07, 6)
    monkeypatch.setattr(module, "MOST_WALKED", 0)
    assert Response.of(model, chain, -500, 500, real, 4, 0.07) is None
