"""Inputs in the order of a network's own file, as the frames of the accelerator."""

import numpy as np
import pytest

from deploy.frames import as_frames

ELEMENTS = np.arange(2 * 24, dtype=np.uint8)


@pytest.mark.parametrize(
    ("given", "shape"),
    [((24,), (1, 1, 24)), ((24,), (2, 4, 3)), ((3, 8), (1, 8, 3))],
    ids=["a row", "a row that is a map", "a signal"],
)
def test_channels_come_first_in_a_file_and_last_in_a_frame(given, shape):
    height, width, channels = shape
    frames = as_frames(ELEMENTS.reshape(2, *given), shape)
    assert frames.shape == (2, *shape)
    np.testing.assert_array_equal(frames.transpose(0, 3, 1, 2).reshape(2, channels, height, width).ravel(), ELEMENTS)


def test_frames_and_other_shapes_are_left():
    for shape in ((2, 4, 6, 1), (2, 5, 5)):
        images = np.zeros(shape, np.uint8)
        assert as_frames(images, (4, 6, 1)) is images
