"""Masked windows, orders of a window, grouped votes and every activation in a whole RTL project, against golden."""

import numpy as np
import pytest

from flow.emit.rtl import emit_rtl
from flow.golden import Golden
from flow.sim.compare import first_difference
from flow.sim.rtl import RtlAccelerator
from tests.graphs import random_images, votes_network


@pytest.fixture(scope="module")
def accelerator(tmp_path_factory):
    return RtlAccelerator(
        emit_rtl(votes_network(), tmp_path_factory.mktemp("rtl") / "votes", build_id="0" * 32, clock_mhz=100)
    )


@pytest.fixture(scope="module")
def golden():
    """(images, logits, streams)"""
    images, streams = random_images(5), {}
    return images, Golden(votes_network()).execute(images, streams), streams


@pytest.mark.parametrize(("gaps", "stalls"), [(0.0, 0.0), (0.9, 0.0), (0.0, 0.995), (0.6, 0.7)])
def test_logits_and_every_stream_equal_golden(accelerator, golden, gaps, stalls):
    images, logits, streams = golden
    result = accelerator.execute(images, record=True, input_gaps=gaps, output_stalls=stalls, seed=3)
    np.testing.assert_array_equal(result.logits, logits)
    assert result.streams.keys() == streams.keys()
    assert first_difference(streams, result.streams, result.streams) is None


def test_reset_in_mid_frame(accelerator, golden):
    """Images inside are lost, those after the reset are as ever: every table and every counter starts again."""
    images, logits, _ = golden
    accelerator.device.send(images, logits.size)
    accelerator.device.run(accelerator.manifest["cycles_per_frame"] * 5 // 2)
    accelerator.reset()
    np.testing.assert_array_equal(accelerator.execute(images).logits, logits)


def test_masked_streams_are_taps_outside_the_map(golden):
    window = golden[2]["masked.window.out"].reshape(5, 8, 8, 9, 8)
    assert not window[:, 0, :, :3].any()  # the first row of taps of the first row of windows
    assert np.abs(window[:, 1:-1, 1:-1]).all()
