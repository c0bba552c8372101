"""Compiled artefacts, stored in the user's cache folder by the content that they were made of."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import platformdirs

from .errors import ModelError

HASHES = "sha256.json"  # in an entry: of each of its files
EXCLUSIVE = stat.S_IWGRP | stat.S_IWOTH


def cache_folder() -> Path:
    """Return the folder of all entries, which only its user can write; make it if it is not there.

    Raises:
        ModelError: it cannot be made, or others could put programs into it, which would be run.
    """
    folder = Path(platformdirs.user_cache_dir("flow")) / "compiled"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ModelError(
            f"the cache of compiled programs cannot be made ({folder}: {error.strerror}): make it writable, or set "
            "XDG_CACHE_HOME to a folder of yours"
        ) from error
    for place in (folder, folder.parent):
        found = place.stat()
        if found.st_uid not in (os.geteuid(), 0) or found.st_mode & EXCLUSIVE:
            raise ModelError(
                f"{place} is not yours alone to write, and programs in it are run: chmod go-w {place}, or set "
                "XDG_CACHE_HOME to a folder that only you can write"
            )
    return folder


def digest(*parts: str | bytes) -> str:
    """Return 24 hex digits over ``parts`` and their lengths."""
    found = hashlib.sha256()
    for part in parts:
        part = part.encode() if isinstance(part, str) else part
        found.update(len(part).to_bytes(8, "little") + part)
    return found.hexdigest()[:24]


def cached(key: str, build: Callable[[Path], None]) -> Path:
    """Return the entry ``key``, a folder that ``build`` fills; it appears whole or not at all.

    Of several processes that want the same entry, one builds it. An entry whose files are not what was built, after a
    full disk or a fault of it, is built again.
    """
    cache = cache_folder()
    entry = cache / key
    if not _is_whole(entry):
        with _exclusive(cache / f"{key}.lock"):
            if not _is_whole(entry):
                scratch = cache / f"building-{key}"  # what a killed process left there is removed by the next
                try:
                    for left in (scratch, entry):
                        shutil.rmtree(left, ignore_errors=True)
                    scratch.mkdir()
                    build(scratch)
                    (scratch / HASHES).write_text(json.dumps(_hashes(scratch)))
                    scratch.rename(entry)
                finally:
                    shutil.rmtree(scratch, ignore_errors=True)
    return entry


def _hashes(entry: Path) -> dict[str, str]:
    """Return SHA-256 of every file in ``entry`` by name."""
    found = {}
    for path in sorted(path for path in entry.rglob("*") if path.is_file() and path.name != HASHES):
        with path.open("rb") as file:
            found[str(path.relative_to(entry))] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _is_whole(entry: Path) -> bool:
    """Return whether ``entry`` is there, with the files that were built."""
    try:
        wanted = json.loads((entry / HASHES).read_bytes())
        return bool(wanted) and wanted == _hashes(entry)
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with open(os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
