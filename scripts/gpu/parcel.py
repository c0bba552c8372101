"""What comes back from the device, and is carried there by the next call: finished rows, and the states of those that
are not.

results.zip holds of every finished row its checkpoint, card, history and result; logs, and why jobs failed.
state-JOB.bin is the state of a run that is not finished, or the weights of a finished one that a job still waits for.
Each is replaced as a whole, so what lies there when a call is cut off can be used.
"""

from __future__ import annotations

import io
import os
import pickle
import zipfile
import zlib
from pathlib import Path

import torch

from .jobs import Job, Work
from .states import read_state, write_state

FILE_BYTES, ALL_BYTES, MOST_FILES = 16 << 20, 64 << 20, 8
LOG_BYTES = 200_000
RESULTS = "results.zip"
KEPT = ("checkpoint.popbin", "card.md", "history.jsonl")


def state_name(job: Job) -> str:
    return f"state-{job.name}.bin"


class Parcel:
    """The folder that comes back, ``$OUT``, written from a ``Work`` folder; ``room`` bytes in all."""

    def __init__(self, folder: Path, room: int = ALL_BYTES):
        self.folder, self.room, self.packed = folder, room, {}
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, work: Work, jobs: list[Job]) -> list[str]:
        """Brings the folder up to date; returns a line for everything of note. What cannot be written leaves the older
        file.
        """
        try:
            lines = self._write_results(work, jobs)
        except OSError as error:
            lines = [f"{RESULTS} is not written: {error.strerror or error}"]
        for job in jobs:
            try:
                lines += self._write_state(work, job, jobs)
            except OSError as error:
                lines.append(f"{state_name(job)} is not written: {error.strerror or error}")
        return lines

    def _write_results(self, work: Work, jobs: list[Job]) -> list[str]:
        files = [work.run(job) / name for job in jobs if work.finished(job) for name in KEPT]
        files += [work.run(job) / "history.jsonl" for job in jobs if not work.finished(job)]
        for part in ("results/*.json", "failed/*.json", "logs/*.log"):
            files += sorted(work.folder.glob(part))
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in files:
                if path.is_file():
                    archive.writestr(
                        str(path.relative_to(work.folder)),
                        path.read_bytes()[-LOG_BYTES:] if path.suffix == ".log" else path.read_bytes(),
                    )
        if content.tell() > FILE_BYTES:
            return [f"{RESULTS} would be {content.tell():,} bytes, more than {FILE_BYTES:,}: the older one stays"]
        partial = self.folder / "results.part"
        try:
            partial.write_bytes(content.getbuffer())
            os.replace(partial, self.folder / RESULTS)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        return []

    def _write_state(self, work: Work, job: Job, jobs: list[Job]) -> list[str]:
        source, target = work.state(job), self.folder / state_name(job)
        wanted = any(job in other.needs and not work.finished(other) for other in jobs)
        if work.finished(job) and not wanted:
            target.unlink(missing_ok=True)
            return []
        if not source.is_file():
            return []
        key = source.stat().st_mtime_ns, work.finished(job)
        if self.packed.get(job) == key and target.is_file():
            return []
        others = [path for path in self.folder.iterdir() if path != target]
        room = min(FILE_BYTES, self.room - sum(path.stat().st_size for path in others))
        level = write_state(source, target, room, weights_only=work.finished(job)) if len(others) < MOST_FILES else None
        self.packed[job] = key
        if level is None:
            return [f"no room for the state of {job.name}: it is not kept"]
        return [f"kept the state of {job.name}: {level}, {target.stat().st_size:,} bytes"]


def unpack_results(folder: Path, work: Work) -> list[str]:
    """Puts finished rows that came back in ``folder`` into a work folder; returns a line for everything of note."""
    lines = []
    results = folder / RESULTS
    if results.is_file():
        try:
            with zipfile.ZipFile(results) as archive:
                archive.extractall(work.folder)
        except zipfile.BadZipFile as error:
            lines.append(f"{results} is damaged ({error}): finished rows in it are trained again")
    return lines


def unpack_states(folder: Path, work: Work) -> list[str]:
    """Puts the states that came back in ``folder`` into a work folder, in full size; returns a line for each."""
    lines = []
    for path in sorted(folder.glob("state-*.bin")):
        recipe, length = path.stem.removeprefix("state-").rsplit(".", 1)
        target = work.state(Job(recipe, length))
        if target.is_file():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            state = read_state(path)
        except (zlib.error, RuntimeError, pickle.UnpicklingError, EOFError) as error:
            lines.append(f"{path} is damaged ({str(error).splitlines()[0]}): {recipe} begins again")
            continue
        torch.save(state, target)
        lines.append(f"goes on with {recipe}, {length}, from step {state['step']:,} of {state['steps']:,}")
    return lines
