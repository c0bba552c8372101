"""Max pools that go behind a quantizer; each test executes the graph before and after."""

import numpy as np
import pytest

from flow.normalise.late_pools import LatePools
from tests.passes.graphs import QonnxGraph, node_types

from .test_normalise import same


def pooled(graph, gains, quantizer, pads=(0, 0, 0, 0), kernel=2):
    """Return the graph of an image's convolution, a max pool, a norm and a quantizer."""
    weights = graph.binary_weights(len(gains), 4, 3, 3)
    x = graph.conv(graph.integers(), weights, kernel_shape=[3, 3], pads=[1] * 4)
    x = graph.node("MaxPool", x, kernel_shape=[kernel] * 2, strides=[2, 2], pads=list(pads))
    return graph.model(quantizer(graph.batch_norm(x, np.array(gains), 0.3)))


QUANTIZERS = {
    "sign": lambda graph: graph.bipolar,
    "four bits": lambda graph: lambda x: graph.quant(x, 0.5, 4),
    "relu, two bits": lambda graph: lambda x: graph.quant(graph.node("Relu", x), 0.5, 2, signed=0),
    "bent": lambda graph: lambda x: graph.quant(graph.node("LeakyRelu", x, alpha=0.3), 0.5, 4),
}


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 1, 1, 1)])
@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_a_pool_goes_behind_a_quantizer_that_rises(quantizer, pads):
    graph = QonnxGraph(height=8)
    model = pooled(graph, [0.3, 1.2, 0.0], QUANTIZERS[quantizer](graph), pads, kernel=3 if any(pads) else 2)
    kinds = [kind for kind in node_types(same(model, LatePools)) if kind in ("Conv", "MaxPool", "BatchNormalization")]
    assert kinds == ["Conv", "BatchNormalization", "MaxPool"]


@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_a_pool_stays_in_front_of_one_that_falls_in_a_channel(quantizer):
    graph = QonnxGraph(height=8)
    model = pooled(graph, [0.3, -1.2, 0.5], QUANTIZERS[quantizer](graph))
    assert node_types(same(model, LatePools)) == node_types(model)


def test_a_pool_stays_in_front_of_a_curve_that_falls_and_rises():
    graph = QonnxGraph(height=8)
    model = pooled(graph, [0.3, 1.2], lambda x: graph.quant(graph.node("HardSwish", x), 0.05, 8))
    assert node_types(same(model, LatePools)) == node_types(model)


def test_a_pool_stays_in_front_of_what_is_not_defined_everywhere():
    """Log rises where it is defined; behind a norm that falls it does not."""
    graph = QonnxGraph(height=8)
    model = pooled(graph, [-0.3, -1.2], lambda x: graph.quant(graph.node("Log", graph.node("Add", x, 50.0)), 0.05, 8))
    assert node_types(same(model, LatePools)) == node_types(model)


def test_a_pool_of_integers_stays():
    graph = QonnxGraph(height=8)
    x = graph.node("MaxPool", graph.integers(), kernel_shape=[2, 2], strides=[2, 2])
    model = graph.model(graph.bipolar(graph.batch_norm(x, np.ones(4), 0.3)))
    assert node_types(same(model, LatePools)) == node_types(model)
