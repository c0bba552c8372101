"""The network on the processor: the accelerator's integers in numpy, to compare its speed and check its results."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np

from .errors import NetworkError
from .semantics import Executor, NodeError, Step, find

FORMAT, VERSION = "popbin-network", 2
DESCRIPTION = "network"  # the array that holds the JSON text


class Network:
    """A network file of `flow build`, evaluated in numpy.

        logits = Network("build/bireal18-qat-pynq-z2/deploy/network.npz").execute(images)

    ``image`` is the shape (H, W, C) that it takes.

    Raises:
        NetworkError: the file is missing or damaged, of another version, or has a node of unknown kind.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        description, arrays = _read(self.path)
        try:
            self.image = tuple(int(size) for size in description["image"])
            steps = [_step(entry, arrays) for entry in description["nodes"]]
            self._executor = Executor(steps, str(description["input"]), str(description["output"]))
        except NodeError as error:
            raise NetworkError(f"{path}: {error}: write the network again, build and deploy must match") from error
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise NetworkError(
                f"{path} is no complete network ({type(error).__name__}: {error}): write it again"
            ) from error

    def execute(self, images: np.ndarray, batch: int = 8) -> np.ndarray:
        """Return logits int32 [N, classes] of images uint8 [N, H, W, C], N >= 1, those of the accelerator.

        Raises:
            NetworkError: images of another shape or type, or none.
        """
        images = np.asarray(images)
        takes = f"{self.path.name} takes uint8 images [N, {', '.join(map(str, self.image))}]"
        if images.dtype != np.uint8:
            raise NetworkError(f"{takes}, not {images.dtype}: give pixels 0..255 as they are")
        if images.shape[1:] != self.image or images.ndim != 4:
            raise NetworkError(f"{takes}, not {list(images.shape)}")
        if not len(images) or batch < 1:
            raise NetworkError(f"{takes}, not {len(images)} in batches of {batch}: give one or more")
        try:
            return self._executor.execute(images, batch=batch)
        except NodeError as error:
            raise NetworkError(f"{self.path}: {error}: write the network again") from error


def _step(entry: dict, arrays: dict[str, np.ndarray]) -> Step:
    op = find(entry["kind"])(name=entry["name"], **entry["attributes"])
    constants = [_constant(constant, arrays) for constant in entry["constants"]]
    return Step(op, entry["inputs"], entry["outputs"], constants)


def _constant(entry: dict, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Return an array of the file as int64; where ``signs`` are packed, int8 -1 and +1."""
    array, shape = arrays[entry["array"]], tuple(entry["shape"])
    if entry["signs"]:
        array = np.unpackbits(array, count=int(np.prod(shape))).view(np.int8) * np.int8(2) - np.int8(1)
        return array.reshape(shape)
    return array.astype(np.int64).reshape(shape)


def _read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Return description and arrays. The archive's checksums are compared, which np.load leaves to chance."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}
        arrays = {
            name: np.lib.format.read_array(io.BytesIO(data), allow_pickle=False) for name, data in members.items()
        }
        description = json.loads(arrays.pop(DESCRIPTION).tobytes())
        found = description["format"], description["version"]
    except FileNotFoundError as error:
        raise NetworkError(f"{path} does not exist: give the network file of a build") from error
    except Exception as error:  # a damaged archive raises whatever its damaged field leads to
        raise NetworkError(
            f"{path} is no network file, or damaged ({type(error).__name__}: {error}): copy it again"
        ) from error
    if found != (FORMAT, VERSION):
        wanted = f"{FORMAT!r} of version {VERSION}"
        raise NetworkError(f"{path} is {found[0]!r} of version {found[1]}, not {wanted}: build and deploy must match")
    return description, arrays
