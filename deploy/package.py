"""The package of one build: what the driver must know of the accelerator, and its files, all with checksums."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from .errors import DeployError, PackageError
from .frames import padded_bytes
from .network import Network

FORMAT = 2
SETTINGS = "settings.json"
CHECKSUM = "sha256"  # in the settings: of all others
WEIGHTS = "ddr_weights.bin"
SAMPLES = "samples.npz"
NETWORK = "network.npz"
BITFILE = "accelerator.bit"
UNKNOWN = -1  # the label of a sample whose class nobody gave
SIMULATOR = "sim/model.so"
INSTALLED = "build"  # where deploy.zip has the package, inside the driver's own folder
HINT = "copy the package again, or make it again with flow build"


def settings_text(settings: dict) -> str:
    """Return the content of settings.json: ``settings``, and a checksum that tells edits and damage."""
    return json.dumps({**settings, CHECKSUM: _checksum(settings)}, indent=2) + "\n"


def _checksum(settings: dict) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _require_sane(settings: dict) -> None:
    """Raise ValueError if a number is one that no accelerator has."""
    whole = [*settings["image"], settings["classes"], settings["cycles_per_frame"]]
    if len(settings["image"]) != 3 or not all(isinstance(value, int) and 0 < value < 1 << 31 for value in whole):
        raise ValueError("image, classes and cycles_per_frame are not whole numbers above 0")
    if not 0 < settings["clock_mhz"] < 10_000:
        raise ValueError(f"clock_mhz is {settings['clock_mhz']}")
    if not all(isinstance(address, int) for address in settings["registers"].values()):
        raise ValueError("an address of registers is no number")
    if not isinstance(settings["streams"], int) or not 0 <= settings["streams"] < 1 << 20:
        raise ValueError(f"streams is {settings['streams']}")
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in settings["files"]):
        raise ValueError("a file lies outside of the package")


@dataclass(frozen=True)
class Region:
    """Weights of a layer in DDR: where they lie in the weight file, in bytes."""

    layer: str
    offset: int
    bytes: int


@dataclass(frozen=True)
class Package:
    """``settings.json`` of the package in ``folder``.

    image: height, width, channels of a frame. labels: names of the classes. logit_scale: real value of one unit of a
    logit. tail: the steps from logits to the network's own outputs (deploy.scores). cycles_per_frame: planned.
    registers: byte addresses. layers: names in the order of their counters. streams: number of streams that the
    simulator can record. files: SHA-256 by name.
    """

    folder: Path
    build_id: str
    model: str
    strategy: str
    voter: str
    target: str
    clock_mhz: float
    image: tuple[int, int, int]
    classes: int
    labels: tuple[str, ...]
    logit_scale: float
    tail: tuple[dict, ...]
    cycles_per_frame: int
    registers: dict[str, int]
    layers: tuple[str, ...]
    regions: tuple[Region, ...]
    streams: int
    files: dict[str, str]

    @classmethod
    def load(cls, folder: str | Path) -> Package:
        """Read and check the settings; files are checked when they are read.

        Raises:
            PackageError: there is no such file, it is damaged, or of a format that this driver does not know.
        """
        folder = Path(folder)
        path = folder / SETTINGS
        try:
            content = json.loads(path.read_text())
            if content["format"] != FORMAT:
                raise PackageError(
                    f"{path} is of another format than this driver's ({FORMAT}): use the driver of the package"
                )
            if content.pop(CHECKSUM, None) != _checksum(content):
                raise PackageError(f"{path} is not what was built: its checksum is another one; {HINT}")
            _require_sane(content)
            content["regions"] = tuple(Region(**region) for region in content["regions"])
            content.setdefault("tail", [])
            for name in ("image", "labels", "layers", "tail"):
                content[name] = tuple(content[name])
            return cls(
                folder=folder, **{field.name: content[field.name] for field in fields(cls) if field.name != "folder"}
            )
        except FileNotFoundError:
            raise PackageError(
                f"no package at {folder}: there is no {SETTINGS}; give a folder that flow build made"
            ) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise PackageError(f"{path} cannot be read ({type(error).__name__}: {error}): {HINT}") from error

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame on the bus: those of an image, and the rest of its last 64-bit word."""
        height, width, channels = self.image
        return padded_bytes(height * width * channels)

    def has(self, name: str) -> bool:
        """Return whether the package has a file ``name``."""
        return name in self.files

    def path(self, name: str) -> Path:
        """Return the path of a file of the package, after a look at its checksum.

        Raises:
            PackageError: the package has none, or it is damaged.
        """
        path = self.folder / name
        if name not in self.files:
            raise PackageError(f"{self.folder} has no {name}")
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise PackageError(f"{path} cannot be read ({error.strerror}): {HINT}") from error
        if found != self.files[name]:
            raise PackageError(f"{path} is damaged: its SHA-256 is not that of the build; {HINT}")
        return path

    def weights(self) -> bytes:
        """Return the contents of the DDR, empty if all weights are on chip."""
        return self.path(WEIGHTS).read_bytes() if self.regions else b""

    def network(self) -> Network:
        """Return the network for the processor, which computes the same integers."""
        return Network(self.path(NETWORK))

    def samples(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return real images uint8 [N, H, W, C], their labels [N], and the logits int32 [N, classes] that the
        accelerator must give.

        Raises:
            PackageError: the package has none, or they are damaged.
        """
        try:
            with np.load(self.path(SAMPLES), allow_pickle=False) as content:
                return content["images"], content["labels"], content["logits"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise PackageError(f"{self.folder / SAMPLES} cannot be read ({error}): {HINT}") from error


def find_package() -> Path:
    """Return the folder of a package.

    It is the one that POPBIN_PACKAGE names, else that in this folder, or installed with the driver, or of the newest
    build here.

    Raises:
        DeployError: there is none.
    """
    if named := os.environ.get("POPBIN_PACKAGE"):
        return Path(named)
    here = [Path.cwd(), Path(__file__).resolve().parent / INSTALLED]
    built = sorted(Path("build").glob(f"*/deploy/{SETTINGS}"), key=lambda path: -path.stat().st_mtime)
    found = [folder for folder in here if (folder / SETTINGS).is_file()] + [path.parent for path in built]
    if not found:
        raise DeployError(f"no package here: give the folder with {SETTINGS} that flow build made")
    return found[0]
