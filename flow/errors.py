"""The exceptions that a user is meant to see, as one message without a traceback."""

import errno
import os
import re

LONGEST_REASON = 240


class FlowError(Exception):
    """Something the user can mend; the message names the thing, the value and the way out."""


class UnknownNameError(FlowError):
    """A name that is not in a table; the message lists the table."""

    def __init__(self, kind: str, name: str, known):
        super().__init__(f"{kind} {name!r} is unknown: use {' or '.join(sorted(known))}")


class VerificationError(FlowError):
    """Something built is not what it must be: a file was changed, or a simulation differs; names the layer or
    stream."""


def reason_of(error: Exception) -> str:
    """Return what another library says in one line, without its codes: at most LONGEST_REASON characters."""
    said = " ".join(str(error).split())
    said = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", said)
    said = re.sub(r"<class '([\w.]+)'>", r"\1", said)
    if not said or isinstance(error, LookupError):  # whose text is the key alone
        said = f"something that it refers to is missing{f': {said}' if said else ''}"
    return said if len(said) <= LONGEST_REASON else said[: LONGEST_REASON - 3] + "..."


def require_space(said: str) -> None:
    """Raise OSError (ENOSPC) if that is why a program failed, which ``said`` so."""
    if os.strerror(errno.ENOSPC) in said:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
