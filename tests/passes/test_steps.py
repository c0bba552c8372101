"""Steps of a chain, found by bisection, against a walk over all integers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.passes import PassError
from flow.passes.chain import chain_to_quantizer, evaluate_chain
from flow.passes.steps import Steps, is_monotone

from .graphs import QonnxGraph

REACH = 200


def chain_of(graph, output, start):
    model = graph.model(output)
    return model, chain_to_quantizer(model, next(node for node in model.graph.node if node.name == start))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.sampled_from(["Relu", "Sigmoid", "Neg", "LeakyRelu"]))
def test_any_monotone_chain(seed, bits, kind):
    graph = QonnxGraph(seed=seed)
    x = graph.batch_norm("image", graph.rng.normal(size=4), graph.rng.normal(size=4))
    model, chain = chain_of(graph, graph.quant(graph.node(kind, x), 0.3, bits), "BatchNormalization_0")
    steps = Steps(model, chain, -REACH, REACH, lambda s: 0.05 * s, 4, float(np.float32(0.3)))
    steps.check()
    sums = np.arange(-REACH, REACH + 1)
    expected = np.rint(evaluate_chain(model, chain, 0.05 * sums[:, None] * np.ones(4), 4) / np.float32(0.3))
    rising = np.where(steps.falling, -sums[:, None], sums[:, None])
    found = (steps.first[None] <= rising[:, None]).sum(axis=1) + steps.least.min()
    np.testing.assert_array_equal(found, expected)
    points, results = steps.points()
    np.testing.assert_array_equal(steps.results(points), results)


def test_only_values_of_a_stride_are_walked():
    graph = QonnxGraph()
    model, chain = chain_of(graph, graph.bipolar(graph.node("Sub", "image", 1.0)), "Sub_0")
    steps = Steps(model, chain, -9, 9, lambda s: s, 4, 1.0, stride=2)
    np.testing.assert_array_equal(steps.first[-1], [1] * 4)


def test_what_turns_is_not_monotone():
    graph = QonnxGraph()
    bent = graph.node("PRelu", "image", np.full((4, 1, 1), -1.0))
    model, chain = chain_of(graph, graph.quant(bent), "PRelu_0")
    assert not is_monotone(model, chain)
    with pytest.raises(PassError, match="neither rise nor fall"):
        Steps(model, chain, -20, 20, lambda s: 0.25 * s, 4, 0.25).check()


@pytest.mark.parametrize("kind", ["Elu", "Celu", "ThresholdedRelu"])
@pytest.mark.parametrize("alpha", [0.5, -0.5])
def test_a_bend_of_negative_alpha_turns(kind, alpha):
    """Held to the values themselves: they only rise, or they fall somewhere, too."""
    graph = QonnxGraph()
    model, chain = chain_of(graph, graph.quant(graph.node(kind, "image", alpha=alpha), 0.05, 8), f"{kind}_0")
    values = evaluate_chain(model, chain, np.linspace(-3, 3, 301), 4)
    assert is_monotone(model, chain) == bool((np.diff(values, axis=0) >= 0).all())
