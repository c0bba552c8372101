"""The loaders on synthetic sets in every format, whole and damaged."""

import io
import os
import pickle
import tarfile

import numpy as np
import pytest
from PIL import Image

from brevitas_models import data
from brevitas_models.data import CLASSES, DataError, ImageSet, load_cifar, load_samples

TEST = 10_000


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def planes() -> tuple[np.ndarray, np.ndarray]:
    """A test set: planes uint8 [10000, 3072] as the official files hold them, labels uint8 [10000]."""
    rng = np.random.default_rng(0)
    return np.tile(rng.integers(0, 256, (100, 3072), dtype=np.uint8), (100, 1)), np.resize(
        np.arange(10, dtype=np.uint8), TEST
    )


def python_batch(planes, labels) -> bytes:
    return pickle.dumps(
        {b"batch_label": b"x", b"labels": labels.tolist(), b"data": planes, b"filenames": []}, protocol=2
    )


def binary_batch(planes, labels) -> bytes:
    return np.concatenate([labels[:, None], planes], axis=1).tobytes()


def check(found: ImageSet, planes, labels, source="CIFAR-10 (original)"):
    np.testing.assert_array_equal(found.images.transpose(0, 3, 1, 2).reshape(-1, 3072), planes)
    np.testing.assert_array_equal(found.labels, labels)
    assert found.source == source


def hundred_python(planes, labels) -> bytes:
    coarse = (labels // 5).tolist()
    return pickle.dumps(
        {b"data": planes, b"fine_labels": labels.tolist(), b"coarse_labels": coarse, b"filenames": []}, protocol=2
    )


def hundred_binary(planes, labels) -> bytes:
    return np.concatenate([labels[:, None] // 5, labels[:, None], planes], axis=1).tobytes()


HUNDRED = {"cifar-100-python": ("test", hundred_python), "cifar-100-binary": ("test.bin", hundred_binary)}


@pytest.mark.parametrize("form", ["folder", "archive"])
@pytest.mark.parametrize("folder", HUNDRED)
def test_cifar_100(folder, form, planes, tmp_path, monkeypatch):
    name, encode = HUNDRED[folder]
    images, labels = planes[0], np.resize(np.arange(100, dtype=np.uint8), TEST)
    place = tmp_path / folder
    place.mkdir()
    (place / name).write_bytes(encode(images, labels))
    (place / "meta").write_bytes(b"")
    if form == "archive":
        place = tmp_path / f"{folder}.tar.gz"
        with tarfile.open(place, "w:gz", compresslevel=1) as tar:
            tar.add(tmp_path / folder / name, f"{folder}/{name}")
        monkeypatch.setitem(data.KNOWN_ARCHIVES, place.name, ("md5", data.hashlib.md5(place.read_bytes()).hexdigest()))
    found = load_cifar(place, "test")
    check(found, images, labels, "CIFAR-100 (original)")
    assert found.classes == found.spread(50).classes == 100
    check(load_cifar(place, "test"), images, labels, "CIFAR-100 (original)")  # from the cache
    with pytest.raises(DataError, match="damaged"):
        load_cifar(place, "train")
    if form == "folder":
        labels[0] = 7
        (place / name).write_bytes(encode(images, labels))
        with pytest.raises(DataError, match="10000 test images instead of 10000, 100 of each class"):
            load_cifar(place, "test")


FORMATS = {
    "cifar-10-batches-py": ("test_batch", python_batch),
    "cifar-10-batches-bin": ("test_batch.bin", binary_batch),
}
ARCHIVES = {"cifar-10-python.tar.gz": "cifar-10-batches-py", "cifar-10-binary.tar.gz": "cifar-10-batches-bin"}


@pytest.mark.parametrize("folder", FORMATS)
def test_official_folders(folder, planes, tmp_path):
    name, encode = FORMATS[folder]
    (tmp_path / folder).mkdir()
    (tmp_path / folder / name).write_bytes(encode(*planes))
    check(load_cifar(tmp_path / folder, "test"), *planes)
    check(load_cifar(tmp_path, "test"), *planes)  # one level up
    with pytest.raises(DataError, match="damaged"):
        load_cifar(tmp_path, "train")


def archive(path, folder, planes):
    name, encode = FORMATS[folder]
    blob = encode(*planes)
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        member = tarfile.TarInfo(f"{folder}/{name}")
        member.size = len(blob)
        tar.addfile(member, io.BytesIO(blob))


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_are_checksummed_read_and_cached(name, planes, tmp_path, monkeypatch):
    path = tmp_path / name
    archive(path, ARCHIVES[name], planes)
    with pytest.raises(DataError, match="md5 .* expected"):
        load_cifar(path, "test")
    digest = data.hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setitem(data.KNOWN_ARCHIVES, name, ("md5", digest))
    check(load_cifar(path, "test"), *planes)
    monkeypatch.setattr(data, "_read_archive", lambda *_: pytest.fail("the cache was not used"))
    check(load_cifar(path, "test"), *planes)


def test_a_cache_that_cannot_be_written_or_read_does_no_harm(planes, tmp_path, monkeypatch):
    path = tmp_path / "cifar-10-binary.tar.gz"
    archive(path, "cifar-10-batches-bin", planes)
    monkeypatch.setitem(data.KNOWN_ARCHIVES, path.name, ("md5", data.hashlib.md5(path.read_bytes()).hexdigest()))
    (tmp_path / "cache").write_text("a file where a folder should be")
    check(load_cifar(path, "test"), *planes)
    (tmp_path / "cache").unlink()
    check(load_cifar(path, "test"), *planes)
    (cached,) = (tmp_path / "cache" / "flow").iterdir()
    cached.write_bytes(cached.read_bytes()[:1000])
    check(load_cifar(path, "test"), *planes)


def test_jpeg_folder(tmp_path):
    for label, name in enumerate(CLASSES):
        folder = tmp_path / "test" / name
        folder.mkdir(parents=True)
        Image.new("RGB", (32, 32), (25 * label, 0, 0)).save(folder / "0000.jpg")
        for number in range(1, 1000):
            os.link(folder / "0000.jpg", folder / f"{number:04d}.jpg")
    found = load_cifar(tmp_path, "test")
    assert found.source == "CIFAR-10 (JPEG)"
    assert found.images.shape == (TEST, 32, 32, 3) and found.images.dtype == np.uint8
    np.testing.assert_array_equal(found.labels, np.repeat(np.arange(10), 1000))
    np.testing.assert_allclose(found.images[::1000, 16, 16, 0], 25 * np.arange(10), atol=3)
    np.testing.assert_array_equal(np.bincount(found.spread(200).labels), [20] * 10)

    (tmp_path / "test" / "dog" / "0000.jpg").unlink()
    with pytest.raises(DataError, match="9999 test images"):
        load_cifar(tmp_path, "test")
    (tmp_path / "test" / "dog" / "0000.jpg").write_bytes(b"\xff\xd8\xff nonsense")
    with pytest.raises(DataError, match="damaged"):
        load_cifar(tmp_path, "test")


class Hostile:
    def __reduce__(self):
        return os.system, ("touch /tmp/hostile-pickle-ran",)


@pytest.mark.parametrize(
    "batch",
    [
        pickle.dumps({b"data": Hostile(), b"labels": []}),
        pickle.dumps({b"data": np.zeros((2, 3072), np.uint8)}),  # no labels
        pickle.dumps([1, 2, 3]),
        pickle.dumps({b"data": np.zeros((2, 17), np.uint8), b"labels": [0, 1]}),
        pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 99]}),
        pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, -1]}),
        pickle.dumps({b"data": np.zeros((0, 3072), np.uint8), b"labels": []}),
        pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0]}),
        b"not a pickle",
        b"",
    ],
    ids=[
        "hostile",
        "no-labels",
        "list",
        "short-rows",
        "label-99",
        "label-minus-1",
        "empty",
        "uneven",
        "noise",
        "nothing",
    ],
)
def test_bad_python_batches_are_refused(batch, tmp_path):
    (tmp_path / "test_batch").write_bytes(batch)
    with pytest.raises(DataError):
        load_cifar(tmp_path, "test")
    assert not os.path.exists("/tmp/hostile-pickle-ran")


def test_incomplete_and_truncated_binary_sets_are_refused(planes, tmp_path):
    blob = binary_batch(*planes)
    (tmp_path / "test_batch.bin").write_bytes(blob[: 3073 * 9_000])
    with pytest.raises(DataError, match="9000 test images"):
        load_cifar(tmp_path, "test")
    (tmp_path / "test_batch.bin").write_bytes(blob[:-1])
    with pytest.raises(DataError, match="damaged"):
        load_cifar(tmp_path, "test")
    unbalanced = planes[1].copy()
    unbalanced[0] = 5
    (tmp_path / "test_batch.bin").write_bytes(binary_batch(planes[0], unbalanced))
    with pytest.raises(DataError, match="999"):
        load_cifar(tmp_path, "test")


def test_missing_and_unknown_places_name_the_formats(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(DataError, match="cifar-10-python.tar.gz"):
            load_cifar(path, "test")
    with pytest.raises(DataError, match="train or test"):
        load_cifar(tmp_path, "validation")


def test_samples_are_real_and_balanced():
    samples = load_samples()
    counts = np.bincount(samples.labels)
    assert len(samples) >= 256 and counts.max() - counts.min() <= 1
    assert samples.images.shape[1:] == (32, 32, 3) and "packaged samples" in samples.source
    assert len(np.unique(samples.images)) == 256
