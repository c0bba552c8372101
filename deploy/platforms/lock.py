"""One process a board."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

from ..errors import DeviceError

LOCK = "popbin-accelerator.lock"


def lock_board() -> int:
    """Return a file descriptor that keeps other processes off the board until it is closed, however its process ends.

    Raises:
        DeviceError: another process has it.
    """
    path = Path(tempfile.gettempdir()) / LOCK
    try:
        file = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    except OSError as error:
        raise DeviceError(
            f"{path} cannot be opened ({error.strerror}): it keeps two processes off one board"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise DeviceError(f"another process uses the accelerator (it holds {path}): end it first") from None
    return file
