"""Compiled artefacts, stored in the user's cache folder by the content that they were made of."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """Return the folder of all entries; make it if it is not there."""
    folder = Path(platformdirs.user_cache_dir("flow")) / "compiled"
    folder.mkdir(parents=True, exist_ok=True)
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

    Of several processes that want the same entry, one builds it.
    """
    cache = cache_folder()
    entry = cache / key
    if not entry.exists():
        with _exclusive(cache / f"{key}.lock"):
            if not entry.exists():
                with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as scratch:
                    content = Path(scratch) / "content"
                    content.mkdir()
                    build(content)
                    content.rename(entry)
    return entry


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
