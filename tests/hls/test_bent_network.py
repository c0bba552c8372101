"""ValueTable and PReLU in a whole HLS project, against the golden model."""

import numpy as np

from flow.emit.hls import emit_hls
from flow.golden import Golden
from flow.sim.compare import first_difference
from flow.sim.csim import CsimAccelerator
from tests.graphs import bent_network, random_images


def test_a_whole_project_equals_golden(tmp_path):
    model, images, streams = bent_network(), random_images(5, size=4), {}
    logits = Golden(model).execute(images, streams)
    project = emit_hls(model, tmp_path / "bent", build_id="test", part="xc7z020clg400-1", clock_mhz=100)
    result = CsimAccelerator(project).execute(images, record=True)
    np.testing.assert_array_equal(result.logits, logits)
    assert result.streams.keys() == streams.keys()
    assert first_difference(streams, result.streams, result.streams) is None
