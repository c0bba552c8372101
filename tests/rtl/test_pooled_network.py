"""RPReLU, MaxPool and Sample in a whole RTL project, against the golden model, and tables that must be refused."""

import numpy as np
import pytest

from flow.emit.rtl import emit_rtl
from flow.emit.rtl_nodes import cell_of
from flow.errors import FlowError
from flow.graph import hardware_nodes
from flow.sim.compare import first_difference
from flow.sim.golden import Golden
from flow.sim.rtl import RtlAccelerator
from tests.graphs import GraphBuilder, pooled_network, random_images


@pytest.fixture(scope="module")
def accelerator(tmp_path_factory):
    project = emit_rtl(pooled_network(), tmp_path_factory.mktemp("rtl") / "pooled", build_id="0" * 32, clock_mhz=100)
    return RtlAccelerator(project)


@pytest.fixture(scope="module")
def golden():
    """(images, logits, streams)"""
    images, streams = random_images(6), {}
    return images, Golden(pooled_network()).execute(images, streams), streams


@pytest.mark.parametrize(("gaps", "stalls"), [(0.0, 0.0), (0.9, 0.0), (0.0, 0.995), (0.6, 0.7)])
def test_logits_and_every_stream_equal_golden(accelerator, golden, gaps, stalls):
    images, logits, streams = golden
    result = accelerator.execute(images, taps=True, input_gaps=gaps, output_stalls=stalls, seed=3)
    np.testing.assert_array_equal(result.logits, logits)
    assert result.streams.keys() == streams.keys()
    assert first_difference(streams, result.streams, result.streams) is None


def test_the_activations_are_exercised(golden):
    """Both sides of the bend, and both ends."""
    values = golden[2]["stem.rprelu.out"]
    assert values.min() == -256 and values.max() == 255
    assert len(np.unique(values)) > 50


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ((-257, 0, 0), "before -257..-257 is not within -256..255"),
        ((0, 9, 0), "slope 9..9 is not within 0..8"),
        ((0, -1, 0), "slope -1..-1"),
        ((0, 0, 256), "after 256..256 is not within -256..255"),
    ],
)
def test_refuses_constants_that_do_not_fit(constants, message):
    g = GraphBuilder(2, 2)
    x = g.conv(g.pixels(p=3), "stem", 2, pe=1, simd=3)
    tables = {name: np.full(2, value) for name, value in zip(("before", "slope", "after"), constants)}
    model = g.model(g.node("RPReLU", "rprelu", [x], tables))
    with pytest.raises(FlowError, match=f"^rprelu: {message}"):
        cell_of(list(hardware_nodes(model))[-1])
