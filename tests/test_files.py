"""What is given is a file, what is written is whole, and one command works in a folder."""

import os

import pytest

from flow.errors import FlowError
from flow.files import LOCK, appearing, locked, require_file


def test_pipes_folders_and_devices_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((tmp_path, "a folder"), (tmp_path / "pipe", "a pipe or device"), ("/dev/zero", "a pipe or dev")):
        with pytest.raises(FlowError, match=f"is {kind}.*: give a plan"):
            require_file(type(tmp_path)(path), "a plan")
    require_file(tmp_path / "missing", "a plan")  # who opens it says so


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    with appearing(path) as partial:
        partial.write_text("old")
    with pytest.raises(OSError), appearing(path) as partial:
        partial.write_text("ne")
        raise OSError(28, "No space left on device")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_one_works_in_a_folder(tmp_path):
    folder = tmp_path / "new" / "run"
    with (
        locked(folder, "training"),
        pytest.raises(FlowError, match="another training works in .*run: wait for it"),
        locked(folder, "training"),
    ):
        pass
    with locked(folder, "training"):
        pass


def test_a_lock_follows_no_link(tmp_path):
    (tmp_path / "precious").write_text("keep me")
    (tmp_path / LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(FlowError, match="cannot be written"), locked(tmp_path, "build"):
        pass
    assert (tmp_path / "precious").read_text() == "keep me"
