"""RPReLU, MaxPool and Sample in a whole HLS project, against the golden model."""

import numpy as np

from flow.emit.hls import emit_hls
from flow.golden import Golden
from flow.sim.csim import CsimAccelerator
from tests.graphs import pooled_network, random_images


def test_logits_and_every_stream_equal_golden(tmp_path):
    model, images, streams = pooled_network(), random_images(6), {}
    logits = Golden(model).execute(images, streams)
    project = emit_hls(model, tmp_path / "pooled", build_id="test", part="xc7z020clg400-1", clock_mhz=100)
    result = CsimAccelerator(project).execute(images, record=True)
    np.testing.assert_array_equal(result.logits, logits)
    assert result.streams.keys() == streams.keys()
    for name, values in streams.items():
        np.testing.assert_array_equal(result.streams[name], values, name)
