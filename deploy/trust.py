"""Which simulators this user has built: a package's simulator is a program, and runs with all rights of who calls it.

Whoever builds a package notes the SHA-256 of its simulator in a folder that only that user can write. The simulator of
any other package is not loaded, unless POPBIN_TRUST=1 says that its maker is trusted.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from .errors import DeployError

TRUST = "POPBIN_TRUST"


def own_simulators() -> Path:
    """Return the folder with an empty file for each simulator that this user has built, named by its SHA-256."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "popbin" / "simulators"


def note_simulator(digest: str) -> None:
    """Note that this user has built the simulator with SHA-256 ``digest``; where that cannot be, it is asked for."""
    folder = own_simulators()
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / digest).touch()


def require_trusted(path: Path, digest: str) -> None:
    """Raise DeployError if the simulator at ``path``, with SHA-256 ``digest``, was built by somebody else."""
    if os.environ.get(TRUST) == "1":
        return
    note = own_simulators() / digest
    try:
        is_own = all(_is_private(place) for place in (note.parent, note))
    except OSError:
        is_own = False
    if not is_own:
        raise DeployError(
            f"{path} was not built by you here, and it is a program that would run with your rights: build the package "
            f"with flow build, or set {TRUST}=1 if you trust who made it"
        )


def _is_private(place: Path) -> bool:
    found = place.lstat()
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
