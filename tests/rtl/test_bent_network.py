"""ValueTable and PReLU in a whole RTL project, against the golden model."""

import numpy as np

from flow.emit.rtl import emit_rtl
from flow.golden import Golden
from flow.sim.compare import first_difference
from flow.sim.rtl import RtlAccelerator
from tests.graphs import bent_network, random_images


def test_a_whole_project_equals_golden(tmp_path):
    images, streams = random_images(5, size=4), {}
    logits = Golden(bent_network()).execute(images, streams)
    bent = streams["stem.prelu.out"]
    assert bent.min() == -128 and bent.max() == 127 and len(np.unique(bent)) > 30
    accelerator = RtlAccelerator(emit_rtl(bent_network(), tmp_path / "bent", build_id="0" * 32, clock_mhz=100))
    for gaps, stalls in ((0.0, 0.0), (0.6, 0.7)):
        result = accelerator.execute(images, record=True, input_gaps=gaps, output_stalls=stalls, seed=3)
        np.testing.assert_array_equal(result.logits, logits)
        assert result.streams.keys() == streams.keys()
        assert first_difference(streams, result.streams, result.streams) is None
