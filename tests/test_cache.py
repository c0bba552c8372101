"""Compiled programs are used only whole, and only from a folder that nobody else can write."""

import pytest

from brevitas_models.cache import cache_folder, cached
from brevitas_models.errors import ModelError


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "flow"


class Builder:
    """Fills an entry, and counts how often."""

    def __init__(self):
        self.times = 0

    def __call__(self, folder):
        self.times += 1
        (folder / "model.so").write_bytes(b"program")


def test_an_entry_is_built_once():
    build = Builder()
    assert (cached("a", build) / "model.so").read_bytes() == b"program"
    assert cached("a", build).is_dir() and build.times == 1


@pytest.mark.parametrize("content", [b"", b"prog", b"programs"])
def test_a_damaged_entry_is_built_again(content):
    build = Builder()
    (cached("a", build) / "model.so").write_bytes(content)
    assert (cached("a", build) / "model.so").read_bytes() == b"program" and build.times == 2


def test_entries_without_or_with_more_files_are_built_again():
    build = Builder()
    (cached("a", build) / "model.so").unlink()
    cached("a", build)
    (cached("a", build) / "more.so").touch()
    cached("a", build)
    (cache_folder() / "b").mkdir()  # as a killed process or an older version left it
    cached("b", build)
    assert build.times == 4


def test_what_a_killed_process_left_is_removed():
    (cache_folder() / "building-a").mkdir()
    (cache_folder() / "building-a" / "half.o").touch()
    cached("a", Builder())
    assert sorted(path.name for path in cache_folder().iterdir()) == ["a", "a.lock"]


def test_a_failure_leaves_nothing():
    def fail(folder):
        raise ModelError("no compiler")

    with pytest.raises(ModelError):
        cached("a", fail)
    assert [path.name for path in cache_folder().iterdir()] == ["a.lock"]


@pytest.mark.parametrize("place", [".", "compiled"])
def test_a_folder_that_others_can_write_is_refused(place, own):
    cached("a", Builder())
    (own / place).chmod(0o777)
    with pytest.raises(ModelError, match="is not yours alone to write, and programs in it are run: chmod go-w"):
        cached("a", Builder())


def test_a_folder_that_cannot_be_made_is_named(own):
    own.parent.mkdir(parents=True)
    own.write_text("a file")
    with pytest.raises(ModelError, match="XDG_CACHE_HOME"):
        cache_folder()
