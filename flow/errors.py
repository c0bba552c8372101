"""The exceptions that a user is meant to see, as one message without a traceback."""

import errno
import os
import stat
from pathlib import Path


class FlowError(Exception):
    """Something the user can mend; the message names the thing, the value and the way out."""


class UnknownNameError(FlowError):
    """A name that is not in a table; the message lists the table."""

    def __init__(self, kind: str, name: str, known):
        super().__init__(f"{kind} {name!r} is unknown: use {' or '.join(sorted(known))}")


class VerificationError(FlowError):
    """Something built is not what it must be: a file was changed, or a simulation differs; names the layer or
    stream."""


def require_file(path: Path, what: str) -> None:
    """Raise FlowError if ``path`` is a folder, or a pipe or device, which may never end: ``what`` is to be given."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # who opens it says why
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or device, no file"
        raise FlowError(f"{path} is {kind}: give {what}")


def require_space(said: str) -> None:
    """Raise OSError (ENOSPC) if that is why a program failed, which ``said`` so."""
    if os.strerror(errno.ENOSPC) in said:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
