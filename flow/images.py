"""Arrays that a person gives: images and their labels, as .npy files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deploy.frames import as_frames
from flow.errors import FlowError
from flow.files import require_file


def load_npy(path: Path, what: str) -> np.ndarray:
    """Return the array of a .npy file of numbers, which is read only where it is used.

    Raises:
        FlowError: it is missing, no such file, or shorter than its header says.
    """
    form = f"give {what} as numpy.save writes them"
    require_file(path, f"{what} in a .npy file")
    try:
        with open(path, "rb") as file:
            magic = file.read(6)
        if magic[:2] == b"PK":
            raise FlowError(f"{path} is an archive (.npz): {form}, one array in a .npy file")
        if magic != b"\x93NUMPY":
            raise FlowError(f"{path} is no .npy file: {form}")
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise FlowError(f"{path} cannot be read ({error.strerror or error}): {form}") from error
    except (ValueError, TypeError, EOFError, SyntaxError) as error:
        objects = "Python objects" in str(error) or "allow_pickle" in str(error)
        why = "holds objects of Python, not numbers" if objects else "is damaged, or shorter than its header says"
        raise FlowError(f"{path} {why}: {form}") from error


def load_images(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Return images uint8 [N, H, W, C] from a .npy file.

    Raises:
        FlowError: it is no such file, or its images have another shape or type.
    """
    images = as_frames(load_npy(path, f"images, uint8 [N, {', '.join(map(str, shape))}]"), shape)
    if images.dtype != np.uint8 or images.shape[1:] != tuple(shape) or not len(images):
        found = f"{images.dtype} {list(images.shape)}"
        raise FlowError(f"{path} holds {found}: the network takes uint8 [N, {', '.join(map(str, shape))}]")
    return np.ascontiguousarray(images)


def images_of(shape: tuple[int, ...], count: int) -> np.ndarray:
    """Return images uint8 [count, H, W, C] for a network that takes ``shape``: packaged ones, or random pixels where it
    takes others."""
    from brevitas_models.data import load_samples

    packaged = load_samples().images[:count]
    if packaged.shape[1:] == tuple(shape):
        return packaged
    return np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)


def load_labels(path: Path, images: int) -> np.ndarray:
    """Return labels int64 [N], of as many images, from a .npy file.

    Raises:
        FlowError: it is no such file, of another length, or holds no classes.
    """
    return checked_labels(load_npy(path, f"labels, integers [{images}]"), images, str(path))


def checked_labels(labels: np.ndarray, images: int, source: str) -> np.ndarray:
    """Return labels as int64 [N].

    Raises:
        FlowError: they are no integers, not one an image, or no classes; ``source`` says whose they are.
    """
    if labels.dtype.kind not in "iu" or labels.shape != (images,):
        raise FlowError(f"{source} holds {labels.dtype} {list(labels.shape)}: give integers [{images}], one an image")
    if labels.min() < 0 or labels.max() > np.iinfo(np.int32).max:
        raise FlowError(f"{source} has labels from {labels.min()} to {labels.max()}: give classes from 0 on")
    return np.asarray(labels, np.int64)
