"""One process a board, and that of root."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from ..errors import DeviceError

LOCK = Path("/run/popbin-accelerator.lock")  # where only root writes: of a file that others made, root may be refused


def lock_board() -> int:
    """Return a file descriptor that keeps other processes off the board until it is closed, however its process ends.

    Raises:
        DeviceError: the process is not root's, or another process has it.
    """
    if os.geteuid() != 0:
        raise DeviceError("only root may use the board's hardware: become root by sudo -i")
    try:
        file = os.open(LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise DeviceError(
            f"{LOCK} cannot be opened ({error.strerror}): it keeps two processes off one board"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise DeviceError(f"another process uses the accelerator (it holds {LOCK}): end it first") from None
    return file
