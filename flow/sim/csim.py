"""Runs an emitted HLS project on images: compiled by g++, exact in values, silent about time."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs

from flow.errors import FlowError, VerificationError
from flow.project import check_project, read_manifest, sha256
from flow.sim.cpp import FLAGS, ap_types_folder, compile_cpp
from flow.sim.streams import from_beats

SOURCES = ("src/accelerator.cpp", "tb/testbench.cpp")
MIN_FRAMES = 4  # a process with fewer is not worth its start


@dataclass(frozen=True)
class CsimResult:
    """Logits int32 [N, classes]; the tapped frames of every stream, tensor name -> int64 [frames, H, W, C] (bipolar streams as
    -1 and +1); seconds of simulation, without compilation."""

    logits: np.ndarray
    streams: dict[str, np.ndarray]
    seconds: float

    @property
    def frames_per_second(self) -> float:
        return len(self.logits) / self.seconds


class CsimAccelerator:
    """The HLS project in ``project`` as a program, compiled on construction or taken from the cache.

    Args:
        verify: refuse a project whose files are not what was emitted.

    Raises:
        VerificationError: a file is not what the emitter wrote; names its layer.
        FlowError: no project there, no g++, no ap_int headers, or the project does not compile.
    """

    def __init__(self, project: Path, *, verify: bool = True):
        self.project = Path(project)
        self.manifest = check_project(self.project) if verify else read_manifest(self.project)
        self.program = _compiled(self.project, self.manifest)

    def execute(self, images: np.ndarray, taps: bool | int = False, processes: int | None = None) -> CsimResult:
        """Logits, and the streams of the first ``taps`` frames (True: of all).

        Args:
            images: uint8 [N, H, W, 3].
            processes: programs that share the images; as many as there are cores unless given.

        Raises:
            VerificationError: a stream was read while empty, or had data left after a frame; names it.
        """
        images = np.ascontiguousarray(images)
        shape = tuple(self.manifest["image"])
        if images.dtype != np.uint8 or images.shape[1:] != shape or not len(images):
            raise FlowError(
                f"csim takes uint8 images [N, {', '.join(map(str, shape))}], not {images.dtype} {list(images.shape)}"
            )
        tapped = len(images) if taps is True else min(int(taps), len(images))
        processes = processes or os.cpu_count() or 1
        parts = np.array_split(np.arange(len(images)), max(1, min(processes, len(images) // MIN_FRAMES)))
        with tempfile.TemporaryDirectory(prefix="csim-") as scratch:
            runs = [
                _Run(self, Path(scratch, str(index)), images[part], int(sum(part < tapped)))
                for index, part in enumerate(parts)
            ]
            try:
                for run in runs:
                    run.finish()
            finally:
                for run in runs:
                    run.process.kill()
                    run.process.wait()
            logits = np.concatenate([run.logits() for run in runs])
            streams: dict[str, list[np.ndarray]] = {}
            for run in runs:
                for tensor, frame in run.streams():
                    streams.setdefault(tensor, []).append(frame)
        stacked = {tensor: np.stack(frames) for tensor, frames in streams.items()}
        return CsimResult(logits, stacked, max(run.seconds for run in runs))


class _Run:
    """One process of the testbench on some of the images."""

    def __init__(self, accelerator: CsimAccelerator, folder: Path, images: np.ndarray, tapped: int):
        self.accelerator, self.folder, self.frames, self.tapped = accelerator, folder, len(images), tapped
        self.seconds = 0.0
        folder.mkdir()
        (folder / "images.bin").write_bytes(images.tobytes())
        weights = (accelerator.project / "data" / "ddr_weights.bin").resolve()
        options = [f"weights={weights}", "expected=", "logits=logits.bin", "taps=taps.bin", f"tap_frames={tapped}"]
        self.process = subprocess.Popen(
            [accelerator.program, *options], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def finish(self) -> None:
        """Waits for the end.

        Raises:
            VerificationError: the program complained, or did not come to its end.
        """
        report, _ = self.process.communicate()
        complaints = [line.removeprefix("stream: ") for line in report.splitlines() if line.startswith("stream: ")]
        if complaints:
            raise VerificationError("csim: " + "; ".join(map(self._named, complaints)))
        seconds = re.search(r"^PASS: .* in ([\d.]+) seconds", report, re.MULTILINE)
        if self.process.returncode or not seconds:
            raise VerificationError(
                f"csim of {self.accelerator.project} ended with {self.process.returncode}: {report[-1000:]}"
            )
        self.seconds = float(seconds[1])

    def logits(self) -> np.ndarray:
        return np.fromfile(self.folder / "logits.bin", "<i4").reshape(self.frames, -1).astype(np.int32)

    def streams(self) -> Iterator[tuple[str, np.ndarray]]:
        """(tensor, one frame [H, W, C]) as they were tapped."""
        if not self.tapped:
            return
        known = {stream["id"]: stream for stream in self.accelerator.manifest["streams"]}
        data = np.fromfile(self.folder / "taps.bin", "<u8")
        while len(data):
            stream, words, count = known[int(data[0])], int(data[1]), int(data[2])
            frame = _decode(stream, data[3 : 3 + count].reshape(-1, words))
            data = data[3 + count :]
            for tensor in stream["tensors"]:
                yield tensor, frame

    def _named(self, complaint: str) -> str:
        """The complaint, with the layer that writes its stream."""
        for stream in self.accelerator.manifest["streams"]:
            if f"'{stream['tensors'][0]}'" in complaint:
                return f"{complaint.split(',')[0].removeprefix('WARNING: ')} [written by layer {stream['layer'] or 'read_pixels'}]"
        return complaint


def _decode(stream: dict, words: np.ndarray) -> np.ndarray:
    """The beats of a frame, [beats, 64-bit words], as integers [H, W, C]."""
    height, width, channels = stream["height"], stream["width"], stream["channels"]
    expected = height * width * channels // stream["parallel"]
    if len(words) != expected:
        raise VerificationError(
            f"csim: stream {stream['tensors'][0]} has {len(words)} beats a frame instead of {expected}"
            f" [written by layer {stream['layer'] or 'read_pixels'}]"
        )
    size = words.shape[1] * 8
    data = words.tobytes()
    beats = (
        words[:, 0].tolist()
        if size == 8
        else [int.from_bytes(data[start : start + size], "little") for start in range(0, len(data), size)]
    )
    bipolar, masked = stream["bits"] == 1, stream["masked"]
    values = from_beats(beats, stream["parallel"], stream["bits"], stream["signed"], bipolar=bipolar, masked=masked)
    return values.reshape(height, width, channels)


def _compiled(project: Path, manifest: dict) -> Path:
    """The project's program, from the cache if its sources and tools are the same."""
    sources = {
        name: sha256((project / name).read_bytes()) for name in manifest["files"] if name.endswith((".cpp", ".hpp"))
    }
    tools = f"{FLAGS} {_compiler_version()} {ap_types_folder()}"
    key = hashlib.sha256(json.dumps([sources, tools], sort_keys=True).encode()).hexdigest()[:32]
    folder = Path(platformdirs.user_cache_dir("flow")) / "csim"
    program = folder / key
    if not program.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            compile_cpp([project / name for name in SOURCES], Path(scratch) / "csim").rename(program)
    return program


def _compiler_version() -> str:
    try:
        return subprocess.run(["g++", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()
    except FileNotFoundError as error:
        raise FlowError("HLS C simulation needs g++: apt-get install g++") from error
