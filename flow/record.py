"""The record of a build, ``report/steps.json``: each finished step, with SHA-256 of every file that it left.

It tells accidents and edits from what was built. It does not stop a person, who can write it too (docs/security.md).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from flow.errors import VerificationError
from flow.files import appearing, file_sha256

COMMANDS = {"synth.json": "flow synth", "timing.json": "flow timing"}  # which write a report, as a step does
REPLACED = ""  # key of a step of which a command wrote a report


def way_out(path: Path, otherwise: str = "") -> str:
    """Return how the file of a build at ``path`` is made again: by its command, or ``otherwise``."""
    command = COMMANDS.get(path.name)
    return f"run {command} {path.parent.parent} again, or remove it" if command else otherwise


@dataclass
class Entry:
    """A finished step: the key of its inputs, the seconds it took, SHA-256 of its files by name."""

    key: str
    seconds: float = 0.0
    files: dict[str, str] = field(default_factory=dict)


class Record:
    """Entries of the finished steps of the build in ``folder``, in the order in which they were finished."""

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / "report" / "steps.json"
        self.steps: dict[str, Entry] = {}
        self.read()

    def read(self) -> None:
        """Read the file; where it is missing, damaged or of another form, nothing counts as finished."""
        try:
            self.steps = {name: Entry(**entry) for name, entry in json.loads(self.path.read_bytes()).items()}
            if not all(isinstance(entry.files, dict) for entry in self.steps.values()):
                raise TypeError
        except (OSError, ValueError, TypeError, AttributeError):
            self.steps = {}

    def finish(self, step: str, key: str, seconds: float, paths: Iterable[Path]) -> None:
        """Store that ``step`` left the files ``paths``, which other steps do not have any longer."""
        files = {str(path.relative_to(self.folder)): file_sha256(path) for path in sorted(set(paths))}
        for entry in self.steps.values():
            entry.files = {name: digest for name, digest in entry.files.items() if name not in files}
        self.steps.pop(step, None)
        self.steps[step] = Entry(key, seconds, files)
        self._write()

    def replace(self, step: str, path: Path) -> None:
        """Store the file that a command left in place of one of ``step``, which does not count as finished now."""
        files = self.steps[step].files if step in self.steps else {}
        self.finish(step, REPLACED, 0.0, [path])
        self.steps[step].files = {**files, **self.steps[step].files}
        self._write()

    def finished(self) -> dict[str, Entry]:
        """Return the entries of steps that are finished."""
        return {name: entry for name, entry in self.steps.items() if entry.key != REPLACED}

    def forget(self, steps: Iterable[str]) -> None:
        """Remove steps: their files may change."""
        self.steps = {name: entry for name, entry in self.steps.items() if name not in set(steps)}
        self._write()

    def check(self, path: Path) -> None:
        """Raise VerificationError if there is a file at ``path`` that is not the one which a finished step left."""
        name = os.path.relpath(path, self.folder)
        for step, entry in self.steps.items():
            if name in entry.files and path.is_file() and file_sha256(path) != entry.files[name]:
                again = way_out(path, "build with --fresh to make everything again")
                raise VerificationError(f"{path} is not what step {step} wrote: put it back, or {again}")

    def check_step(self, step: str) -> None:
        """Raise VerificationError if a file of ``step`` is not what it left."""
        for name in self.steps[step].files if step in self.steps else ():
            self.check(self.folder / name)

    def has_files(self, step: str) -> bool:
        """Return whether all files of ``step`` are there."""
        return step in self.steps and all((self.folder / name).is_file() for name in self.steps[step].files)

    def _write(self) -> None:
        with appearing(self.path) as partial:
            partial.write_text(json.dumps({name: asdict(entry) for name, entry in self.steps.items()}, indent=1) + "\n")
