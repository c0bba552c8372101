"""CIFAR-10 and CIFAR-100: the official python and binary batches, CIFAR-10's JPEG archive, and the packaged samples.

Every loader returns images as uint8 [N, 32, 32, 3] (RGB, row-major) and labels as int64 [N] in
0..classes - 1, and says where they came from, because figures on the JPEG archive and on the original
images are not the same figures.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import pickle
import tarfile
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from platformdirs import user_cache_dir

from .errors import ModelError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SPLITS = {"train": 50_000, "test": 10_000}
ORIGINAL = "CIFAR-10 (original)"
JPEG = "CIFAR-10 (JPEG)"
HUNDRED = "CIFAR-100 (original)"

# MD5 sums as published on the page of the data sets; the SHA-256 is the JPEG archive's own.
KNOWN_ARCHIVES = {
    "cifar-10-python.tar.gz": ("md5", "c58f30108f718f92721af3b95e74349a"),
    "cifar-10-binary.tar.gz": ("md5", "c32a1d4ab5d03f1284b67883e8d87530"),
    "cifar-100-python.tar.gz": ("md5", "eb9058c3a382ffc7106e4002c42a8d85"),
    "cifar-100-binary.tar.gz": ("md5", "03b5dce01913d631647c71ecec9e9cb8"),
    "cifar10-jpeg.tar.xz": ("sha256", "e82212b8f8580e3e79f41a32c7db0e6a5b8fb10188d1723b706e150379c98be9"),
}
FORMATS = (
    "cifar-10-batches-py/, cifar-10-batches-bin/, cifar-10-python.tar.gz, cifar-10-binary.tar.gz, "
    "cifar10-jpeg.tar.xz, a folder train/<class>/*.jpg, test/<class>/*.jpg, or of CIFAR-100 "
    "cifar-100-python/, cifar-100-binary/, cifar-100-python.tar.gz, cifar-100-binary.tar.gz"
)


class DataError(ModelError):
    """The data set is missing or damaged; the message says what to give instead."""


@dataclass(frozen=True)
class ImageSet:
    """Images uint8 [N, 32, 32, 3], labels int64 [N], and the name of their source."""

    images: np.ndarray
    labels: np.ndarray
    source: str

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> int:
        return 100 if self.source == HUNDRED else len(CLASSES)

    def split(self, count: int) -> tuple[ImageSet, ImageSet]:
        """All but ``count`` images, and those: of every class alike, at even distances, so always the same ones.

        Raises:
            DataError: there would be none left, or ``count`` is not so many times the number of classes.
        """
        each, rest = divmod(count, self.classes)
        if rest or count >= len(self):
            raise DataError(
                f"{count} of {len(self)} images cannot be kept apart: give a multiple of {self.classes} classes, "
                "and fewer"
            )
        apart = np.zeros(len(self), bool)
        for label in range(self.classes):
            places = np.flatnonzero(self.labels == label)
            apart[places[np.arange(each) * len(places) // max(each, 1)]] = True
        return tuple(ImageSet(self.images[part], self.labels[part], self.source) for part in (~apart, apart))

    def spread(self, count: int) -> ImageSet:
        """Return ``count`` images at even distances, or all.

        The JPEG archive is sorted by class, so its first images are all of one.
        """
        chosen = self.spread_indices(count)
        return ImageSet(self.images[chosen], self.labels[chosen], self.source)

    def spread_indices(self, count: int) -> np.ndarray:
        """Return the indices [count] of `spread`."""
        return spread_indices(len(self), count)


def spread_indices(total: int, count: int) -> np.ndarray:
    """Return ``count`` of 0 .. total - 1 at even distances, or all."""
    count = min(count, total)
    return np.arange(count) * total // max(count, 1)


def load_cifar(path: str | Path, split: str) -> ImageSet:
    """Loads ``split`` ("train" or "test") from ``path``, a file or folder in any known format.

    A folder may hold the format's own folder or archive one level down. Archives are
    checksummed before they are read; decoded splits are cached in the user's cache folder.

    Raises:
        DataError: nothing known is there, a checksum differs, or an image set is incomplete.
    """
    if split not in SPLITS:
        raise DataError(f"split {split!r} is unknown: use train or test")
    found = require_cifar(Path(path))
    try:
        images = _loader_for(found)(found, split)
    except (
        OSError,
        EOFError,
        KeyError,
        ValueError,
        TypeError,
        pickle.UnpicklingError,
        tarfile.TarError,
        zlib.error,
        lzma.LZMAError,
    ) as error:
        raise DataError(f"{found} is damaged ({_reason(error)}): fetch it again") from error
    return _checked(images, split, found)


def require_cifar(path: Path) -> Path:
    """Return ``path``, or what lies directly in it, which looks like a known format; nothing is read.

    Raises:
        DataError: nothing known is there.
    """
    path = path.expanduser()
    try:
        found = find_cifar(path) if path.exists() else None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
    if found is None:
        what = "holds no known data set" if path.exists() else "is missing"
        raise DataError(f"no data set at {path} (it {what}): give {FORMATS}")
    return found


def find_cifar(path: Path) -> Path | None:
    """``path`` or what lies directly in it, if it looks like a known format; nothing is read."""
    inside = sorted(path.iterdir()) if path.is_dir() else []
    return next((candidate for candidate in (path, *inside) if _loader_for(candidate)), None)


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error} is not in it"
    return (error.strerror if isinstance(error, OSError) else str(error)) or str(error) or type(error).__name__


def load_samples() -> ImageSet:
    """The real test images that ship inside the package (512, balanced over the classes)."""
    blob = resources.files(__package__).joinpath("samples.npz").read_bytes()
    with np.load(io.BytesIO(blob)) as stored:
        return ImageSet(stored["images"], stored["labels"].astype(np.int64), f"{JPEG}, packaged samples")


def _loader_for(path: Path):
    if path.is_dir():
        if (path / "data_batch_1").exists() or (path / "test_batch").exists():
            return lambda p, split: _python_batches(lambda name: (p / name).read_bytes(), split)
        if (path / "data_batch_1.bin").exists() or (path / "test_batch.bin").exists():
            return lambda p, split: _binary_batches(lambda name: (p / name).read_bytes(), split)
        if (path / "train.bin").exists() or (path / "test.bin").exists():
            return lambda p, split: _binary_hundred((p / f"{split}.bin").read_bytes())
        if (path / "meta").is_file() and ((path / "train").is_file() or (path / "test").is_file()):
            return lambda p, split: _python_hundred((p / split).read_bytes())
        if (path / "train" / CLASSES[0]).is_dir() or (path / "test" / CLASSES[0]).is_dir():
            return _jpeg_folder
    elif path.name in KNOWN_ARCHIVES:
        return _cached_archive
    return None


def _batch_names(split: str) -> list[str]:
    return [f"data_batch_{i}" for i in range(1, 6)] if split == "train" else ["test_batch"]


class _NumpyOnlyUnpickler(pickle.Unpickler):
    """CIFAR-10's batches are pickles of numpy arrays: nothing else is allowed to load."""

    def find_class(self, module, name):
        if module.split(".")[0] == "numpy" and name in ("_reconstruct", "ndarray", "dtype", "scalar"):
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        if (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} does not belong into a CIFAR-10 batch")


def _unpickled(blob: bytes):
    try:
        return _NumpyOnlyUnpickler(io.BytesIO(blob), encoding="bytes").load()
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise pickle.UnpicklingError(str(error) or type(error).__name__) from error


def _python_batches(read, split: str) -> ImageSet:
    images, labels = [], []
    for name in _batch_names(split):
        batch = _unpickled(read(name))
        images.append(np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32))
        labels.append(np.asarray(batch[b"labels"], np.int64))
    return _planar(np.concatenate(images), np.concatenate(labels))


def _binary_batches(read, split: str) -> ImageSet:
    rows = [np.frombuffer(read(f"{name}.bin"), np.uint8).reshape(-1, 3073) for name in _batch_names(split)]
    rows = np.concatenate(rows)
    return _planar(rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0].astype(np.int64))


def _python_hundred(blob: bytes) -> ImageSet:
    batch = _unpickled(blob)
    images = np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32)
    return _planar(images, np.asarray(batch[b"fine_labels"], np.int64), HUNDRED)


def _binary_hundred(blob: bytes) -> ImageSet:
    rows = np.frombuffer(blob, np.uint8).reshape(-1, 3074)  # the coarse label, the fine one, pixels
    return _planar(rows[:, 2:].reshape(-1, 3, 32, 32), rows[:, 1].astype(np.int64), HUNDRED)


def _planar(images: np.ndarray, labels: np.ndarray, source: str = ORIGINAL) -> ImageSet:
    return ImageSet(np.ascontiguousarray(images.transpose(0, 2, 3, 1)), labels, source)


def _decode_jpegs(files_by_class: dict[str, list[tuple[str, bytes]]]) -> ImageSet:
    from PIL import Image

    images, labels = [], []
    for label, name in enumerate(CLASSES):
        for file, blob in files_by_class.get(name, []):
            try:
                picture = Image.open(io.BytesIO(blob))
                if picture.size != (32, 32):
                    raise ValueError(f"{picture.size[0]}x{picture.size[1]} pixels, not 32x32")
                images.append(np.asarray(picture.convert("RGB"), np.uint8))
            except (OSError, ValueError, SyntaxError) as error:
                raise ValueError(f"{file}: {error}") from error
            labels.append(label)
    if not images:
        raise ValueError("no image in it")
    return ImageSet(np.stack(images), np.asarray(labels, np.int64), JPEG)


def _jpeg_folder(path: Path, split: str) -> ImageSet:
    return _decode_jpegs(
        {
            name: [(str(file), file.read_bytes()) for file in sorted((path / split / name).glob("*.jpg"))]
            for name in CLASSES
        }
    )


def _cached_archive(path: Path, split: str) -> ImageSet:
    kind, expected = KNOWN_ARCHIVES[path.name]
    with path.open("rb") as file:
        found = hashlib.file_digest(file, kind).hexdigest()
    if found != expected:
        raise DataError(f"{path} has {kind} {found}, expected {expected}: fetch it again")
    cache = Path(user_cache_dir("flow")) / f"cifar-{expected[:16]}-{split}.npz"
    try:
        with np.load(cache) as stored:
            return ImageSet(stored["images"], stored["labels"], str(stored["source"]))
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        images = _read_archive(path, split)
    partial = cache.with_name(f"{cache.name}.{os.getpid()}.part")
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.savez(file, images=images.images, labels=images.labels, source=images.source)
        os.replace(partial, cache)
    except OSError:  # a cache that cannot be written only costs the next call some seconds
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return images


def _read_archive(path: Path, split: str) -> ImageSet:
    files: dict[str, bytes] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            if member.isfile():
                files[member.name] = tar.extractfile(member).read()
    if path.name == "cifar-100-python.tar.gz":
        return _python_hundred(files[f"cifar-100-python/{split}"])
    if path.name == "cifar-100-binary.tar.gz":
        return _binary_hundred(files[f"cifar-100-binary/{split}.bin"])
    if path.name.endswith("python.tar.gz"):
        return _python_batches(lambda name: files[f"cifar-10-batches-py/{name}"], split)
    if path.name.endswith("binary.tar.gz"):
        return _binary_batches(lambda name: files[f"cifar-10-batches-bin/{name}"], split)
    grouped: dict[str, list[tuple[str, bytes]]] = {name: [] for name in CLASSES}
    for name in sorted(files):
        parts = name.split("/")
        if len(parts) >= 3 and parts[-3] == split and parts[-2] in grouped:
            grouped[parts[-2]].append((name, files[name]))
    return _decode_jpegs(grouped)


def _checked(found: ImageSet, split: str, path: Path) -> ImageSet:
    if len(found) and (found.labels.min() < 0 or found.labels.max() >= found.classes):
        raise DataError(f"{path} has labels outside of 0..{found.classes - 1}: fetch it again")
    counts, wanted = np.bincount(found.labels, minlength=found.classes), SPLITS[split] // found.classes
    if found.images.shape != (SPLITS[split], 32, 32, 3) or (counts != wanted).any():
        by_class = f" ({', '.join(map(str, counts))} by class)" if found.classes == len(CLASSES) else ""
        raise DataError(
            f"{path} has {len(found)} {split} images{by_class} instead of {SPLITS[split]}, {wanted} of each class: "
            "fetch it again"
        )
    return found
