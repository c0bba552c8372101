"""Keeps two commands out of one folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from flow.errors import FlowError

LOCK = ".lock"


@contextlib.contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Keep others out of ``folder``, which is made if it is not there; the lock ends with the process, however that
    ends. ``what`` works there, in words.

    Raises:
        FlowError: another one works in it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(folder / LOCK, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644), "w")
    except OSError as error:
        raise FlowError(
            f"{folder} cannot be written ({error.strerror}): make it writable, or use another --output"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FlowError(f"another {what} works in {folder}: wait for it, or use another --output") from None
        yield
