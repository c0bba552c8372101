"""Files and folders: what is given is a file, what is written is whole, and one command works in a folder."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from flow.errors import FlowError

LOCK = ".lock"


def require_file(path: Path, what: str) -> None:
    """Raise FlowError if ``path`` is a folder, or a pipe or device, which may never end: ``what`` is to be given."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # who opens it says why
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or device, no file"
        raise FlowError(f"{path} is {kind}: give {what}")


def file_sha256(path: Path) -> str:
    """Return SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Yield another name to write a file under, which then takes the place of ``path``, or goes where that fails.

    Raises:
        FlowError: ``path`` is a folder.
    """
    if path.is_dir():
        raise FlowError(f"{path} is a folder, and a file is to be written there: remove it")
    partial = path.with_name(f"{path.name}.part")
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def locked(folder: Path, what: str, otherwise: str = "use another --output") -> Iterator[None]:
    """Keep others out of ``folder``, which is made if it is not there; the lock ends with the process, however that
    ends. ``what`` works there, ``otherwise`` a user may do that, in words.

    Raises:
        FlowError: another one works in it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(folder / LOCK, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644), "w")
    except OSError as error:
        raise FlowError(f"{folder} cannot be written ({error.strerror}): make it writable, or {otherwise}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FlowError(f"another {what} works in {folder}: wait for it, or {otherwise}") from None
        yield
