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


@pytest.mark.parametrize("erase", [3, 6])
def test_squares_are_blanked(erase):
    """In about half of the images: a square, or what of it lies within; nothing else; without it, nothing changes."""
    images = np.full((1, 32, 32, 3), 7, np.uint8)
    plain, erasing = (
        Augment(ImageSet(images, np.array([0]), "x"), torch.device("cpu"), 0, size) for size in (0, erase)
    )
    index = torch.zeros(4000, dtype=torch.long)
    same = plain.batch(index, torch.Generator().manual_seed(2))[0]
    assert (same == 7).all()
    pixels = erasing.batch(index, torch.Generator().manual_seed(2))[0].numpy()
    blank = pixels[:, 0] == MIDDLE
    assert np.array_equal(blank[:, None].repeat(3, 1), pixels != 7)
    touched = blank.any((1, 2))
    assert 0.44 < touched.mean() < 0.52  # some squares end in front of the first row
    for one in blank[touched][:200]:
        rows, columns = np.flatnonzero(one.any(1)), np.flatnonzero(one.any(0))
        assert one[np.ix_(rows, columns)].all() and max(len(rows), len(columns)) <= erase
        for span in (rows, columns):
            assert np.array_equal(span, np.arange(span[0], span[-1] + 1))
            assert len(span) == erase or span[0] == 0 or span[-1] == 31
    assert blank.any(0).all()  # every place is reached
