"""Augmented images are the images themselves, moved by up to ``shift`` pixels and perhaps mirrored."""

import numpy as np
import pytest
import torch

from brevitas_models.augment import MIDDLE, Augment
from brevitas_models.data import ImageSet


def moved(image: np.ndarray, shift: int) -> dict[bytes, tuple[int, int, bool]]:
    """All that can become of ``image``, uint8 [32, 32, 3], each with how: rows down, columns right, mirrored."""
    found = {}
    for rows in range(-shift, shift + 1):
        for columns in range(-shift, shift + 1):
            for mirrored in (False, True):
                canvas = np.full_like(image, MIDDLE)
                target = [slice(max(0, by), 32 + min(0, by)) for by in (rows, columns)]
                source = [slice(max(0, -by), 32 - max(0, by)) for by in (rows, columns)]
                canvas[tuple(target)] = image[tuple(source)]
                found[(canvas[:, ::-1] if mirrored else canvas).tobytes()] = rows, columns, mirrored
    return found


@pytest.mark.parametrize("shift", [0, 1, 4])
def test_images_are_moved_and_mirrored(shift):
    """Nothing else happens to them, and every way occurs; the labels stay theirs."""
    images = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    augment = Augment(ImageSet(images, np.array([5, 3, 8]), "noise"), torch.device("cpu"), shift)
    ways = [moved(image, shift) for image in images]
    index = torch.arange(3).repeat(2000)
    pixels, labels = augment.batch(index, torch.Generator().manual_seed(2))
    assert labels.tolist() == [5, 3, 8] * 2000
    seen = [ways[i][one.tobytes()] for i, one in zip(index.tolist(), pixels.permute(0, 2, 3, 1).byte().numpy())]
    assert set(seen) == set(ways[0].values()) and len(set(seen)) == 2 * (2 * shift + 1) ** 2
