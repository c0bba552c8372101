"""The network on the processor: the accelerator's integers in numpy, to compare speed with and to check results by."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from .arithmetic import ARITHMETIC, Arithmetic
from .errors import NetworkError
from .windows import as_map

FORMAT, VERSION = "popbin-network", 1
DESCRIPTION = "network"  # the array that holds the JSON text
BATCH = 8  # images at a time: the maps of more leave a small core's cache


@dataclass(frozen=True)
class Node:
    """A node ready to run; ``constants`` are what its kind makes of those in the file."""

    arithmetic: Arithmetic
    attributes: SimpleNamespace
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: tuple

    def run(self, streams: list) -> tuple:
        if not self.arithmetic.takes_windows:
            streams = [as_map(stream) for stream in streams]
        results = self.arithmetic.function(self.attributes, *streams, *self.constants)
        return results if isinstance(results, tuple) else (results,)


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
            self._input, self._output = str(description["input"]), str(description["output"])
            self._nodes = [_node(entry, arrays) for entry in description["nodes"]]
            self._release = self._check_streams()
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise NetworkError(
                f"{path} is no complete network ({type(error).__name__}: {error}): write it again"
            ) from error
        except NetworkError as error:
            raise NetworkError(f"{path}: {error}") from error

    def execute(self, images: np.ndarray, batch: int = BATCH) -> np.ndarray:
        """Logits int32 [N, classes] of images uint8 [N, H, W, C], N >= 1, those of the accelerator.

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
        return np.concatenate([self._run(images[start : start + batch]) for start in range(0, len(images), batch)])

    def _run(self, images: np.ndarray) -> np.ndarray:
        streams = {self._input: images}
        for node, release in zip(self._nodes, self._release):
            streams.update(zip(node.outputs, node.run([streams[name] for name in node.inputs])))
            for name in release:
                del streams[name]
        return as_map(streams[self._output]).reshape(len(images), -1).astype(np.int32)

    def _check_streams(self) -> list[list[str]]:
        """The streams that are needed no more after each node."""
        known, last_use = {self._input}, {}
        for index, node in enumerate(self._nodes):
            for name in node.inputs:
                if name not in known:
                    raise NetworkError(
                        f"{node.attributes.name} takes {name!r}, which no node before gives: write the network again"
                    )
                last_use[name] = index
            known.update(node.outputs)
        if self._output not in known:
            raise NetworkError(f"no node gives the output {self._output!r}: write the network again")
        last_use.pop(self._output, None)
        return [[name for name, last in last_use.items() if last == index] for index in range(len(self._nodes))]


def _node(entry: dict, arrays: dict[str, np.ndarray]) -> Node:
    kind, name = entry["kind"], entry["name"]
    if kind not in ARITHMETIC:
        raise NetworkError(
            f"node {name} is of the unknown kind {kind!r} (known: {', '.join(ARITHMETIC)}): update deploy"
        )
    arithmetic = ARITHMETIC[kind]
    count = len(entry["inputs"])
    if count != arithmetic.streams:
        raise NetworkError(
            f"node {name} has {count} inputs, {kind} takes {arithmetic.streams}: write the network again"
        )
    attributes = SimpleNamespace(name=name, **entry["attributes"])
    constants = arithmetic.prepare(attributes, *(_constant(constant, arrays) for constant in entry["constants"]))
    return Node(arithmetic, attributes, tuple(entry["inputs"]), tuple(entry["outputs"]), constants)


def _constant(entry: dict, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """An array of the file; where ``signs`` are packed, int8 -1 and +1."""
    array, shape = arrays[entry["array"]], tuple(entry["shape"])
    if entry["signs"]:
        array = np.unpackbits(array, count=int(np.prod(shape))).view(np.int8) * np.int8(2) - np.int8(1)
    return array.reshape(shape)


def _read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Description and arrays. The archive's checksums are compared, which np.load leaves to chance."""
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
