"""RPReLU, MaxPool and Sample in a whole RTL project, against the golden model."""

import numpy as np
import pytest

from flow.emit.rtl import emit_rtl
from flow.golden import Golden
from flow.sim.compare import first_difference
from flow.sim.rtl import RtlAccelerator
from tests.graphs import pooled_network, random_images


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
    result = accelerator.execute(images, record=True, input_gaps=gaps, output_stalls=stalls, seed=3)
    np.testing.assert_array_equal(result.logits, logits)
    assert result.streams.keys() == streams.keys()
    assert first_difference(streams, result.streams, result.streams) is None


def test_the_activations_are_exercised(golden):
    """Both sides of the bend, and both ends."""
    values = golden[2]["stem.rprelu.out"]
    assert values.min() == -256 and values.max() == 255
    assert len(np.unique(values)) > 50
