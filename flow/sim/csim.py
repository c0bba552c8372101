"""Runs an emitted HLS project on images: compiled by g++, exact in values, silent about time.

Every process of the dataflow region runs beside the others, and streams hold as many beats as in hardware.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brevitas_models.cache import cached, digest
from deploy.frames import padded
from flow.errors import FlowError, VerificationError, require_space
from flow.nodes import Stream
from flow.project import DDR_FILE, check_project, read_manifest
from flow.sim.cpp import CONCURRENT_FOLDER, FLAGS, ap_types_folder, compile_cpp
from flow.sim.streams import decode

SOURCES = ("src/accelerator.cpp", "tb/testbench.cpp")
MOST_BEATS = 2**63 - 1  # that a stream can be told to hold
MIN_FRAMES = 4  # a process with fewer is not worth its start


@dataclass(frozen=True)
class CsimResult:
    """What a run gave.

    logits: int32 [N, classes]. streams: the recorded frames, tensor -> integers [frames, H, W, C] (bipolar as -1 and
    +1). seconds: of simulation, without compilation.
    """

    logits: np.ndarray
    streams: dict[str, np.ndarray]
    seconds: float

    @property
    def frames_per_second(self) -> float:
        """Frames that were simulated a second."""
        return len(self.logits) / self.seconds


class DeadlockError(VerificationError):
    """The processes of an accelerator wait for each other."""


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

    def execute(
        self,
        images: np.ndarray,
        record: bool | int = False,
        processes: int | None = None,
        *,
        unbounded: bool = False,
        depths: Mapping[str, int] | None = None,
    ) -> CsimResult:
        """Run images uint8 [N, H, W, C].

        Args:
            record: frames, from the first on, whose streams are recorded (True: all).
            processes: programs that share the images; as many as there are cores unless given.
            unbounded: streams hold any number of beats, so that nothing shows whether the accelerator would hang.
            depths: beats that streams hold, at least 1, by tensor, instead of what the project says.

        Raises:
            VerificationError: the processes wait for each other, or a stream had data left; names the layers.
            FlowError: images of another shape or type, no frame or process to run, or depths of no stream.
        """
        images = np.ascontiguousarray(images)
        shape = tuple(self.manifest["image"])
        if images.dtype != np.uint8 or images.shape[1:] != shape or not len(images):
            raise FlowError(
                f"csim takes uint8 images [N, {', '.join(map(str, shape))}], not {images.dtype} {list(images.shape)}"
            )
        for name, value, least in (("record", int(record), 0), ("processes", processes or 1, 1)):
            if value < least:
                raise FlowError(f"csim: {name} is {value}: it must be at least {least}")
        held = self._depths(depths or {})
        recorded = len(images) if record is True else min(int(record), len(images))
        processes = processes or os.cpu_count() or 1
        parts = np.array_split(np.arange(len(images)), max(1, min(processes, len(images) // MIN_FRAMES)))
        with tempfile.TemporaryDirectory(prefix="csim-") as scratch:
            runs = [
                _Run(self, Path(scratch, str(index)), images[part], int(sum(part < recorded)), unbounded, held)
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

    def _depths(self, depths: Mapping[str, int]) -> dict[str, int]:
        """Return the depths by the names that streams have in the program."""
        known = {name: name for name in self.manifest["inner_streams"]}
        known |= {tensor: stream["tensors"][0] for stream in self.manifest["streams"] for tensor in stream["tensors"]}
        for name, depth in depths.items():
            if name not in known:
                raise FlowError(f"csim: {self.project} has no stream {name}: manifest.json lists its tensors")
            if not isinstance(depth, (int, np.integer)) or not 1 <= depth <= MOST_BEATS:
                raise FlowError(f"csim: stream {name} cannot hold {depth} beats: give a whole number from 1 on")
        return {known[name]: int(depth) for name, depth in depths.items()}


class _Run:
    """One process of the testbench on some of the images."""

    def __init__(
        self,
        accelerator: CsimAccelerator,
        folder: Path,
        images: np.ndarray,
        recorded: int,
        unbounded: bool,
        depths: Mapping[str, int],
    ):
        self.accelerator, self.folder, self.frames, self.recorded = accelerator, folder, len(images), recorded
        self.seconds = 0.0
        folder.mkdir()
        (folder / "images.bin").write_bytes(padded(images).tobytes())
        weights = (accelerator.project / "data" / DDR_FILE).resolve()
        (folder / "depths").write_text("".join(f"{depth} {name}\n" for name, depth in depths.items()))
        options = [f"weights={weights}", "expected=", "logits=logits.bin", "taps=taps.bin", f"tap_frames={recorded}"]
        options += ["depths=depths", f"unbounded={int(unbounded)}"]
        self.process = subprocess.Popen(
            [accelerator.program, *options], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def finish(self) -> None:
        """Wait for the end.

        Raises:
            VerificationError: the program complained, or did not come to its end.
        """
        report, _ = self.process.communicate()
        complaints = [line.removeprefix("stream: ") for line in report.splitlines() if line.startswith("stream: ")]
        circle, behind = (
            [self._waiting(line.removeprefix(what)) for line in complaints if line.startswith(what)]
            for what in ("deadlock: ", "deadlock behind: ")
        )
        if circle:
            raise DeadlockError(
                "\n  ".join(["csim: the accelerator would hang: these processes wait for each other", *circle])
                + "\n  ".join(["\nand these for them", *behind] if behind else [])
                + "\nOne of the full streams among the first must hold more, or two processes differ in the beats of a "
                "frame: please report this network and its plan (depths are calculated in flow/plan/hls_fifos.py)"
            )
        if complaints:
            raise VerificationError("csim: " + "; ".join(map(self._named, complaints)))
        seconds = re.search(r"^PASS: .* in ([\d.]+) seconds", report, re.MULTILINE)
        if self.process.returncode or not seconds:
            require_space(report)
            raise VerificationError(
                f"csim of {self.accelerator.project} ended with {self.process.returncode}: {report[-1000:]}"
            )
        self.seconds = float(seconds[1])

    def logits(self) -> np.ndarray:
        """Return its logits int32 [frames, classes]."""
        return np.fromfile(self.folder / "logits.bin", "<i4").reshape(self.frames, -1).astype(np.int32)

    def streams(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (tensor, one frame [H, W, C]) in the order in which they were recorded."""
        if not self.recorded:
            return
        known = {stream["id"]: stream for stream in self.accelerator.manifest["streams"]}
        data = np.fromfile(self.folder / "taps.bin", "<u8")
        while len(data):
            stream, words, count = known[int(data[0])], int(data[1]), int(data[2])
            frame = _decode(stream, data[3 : 3 + count].reshape(-1, words))
            data = data[3 + count :]
            for tensor in stream["tensors"]:
                yield tensor, frame

    def _waiting(self, line: str) -> str:
        """Return what a process waits for, with the layer that it belongs to."""
        process = line.split()[0]
        layer = self.accelerator.manifest["processes"].get(process)
        return f"layer {layer}: {line}" if layer else line

    def _named(self, complaint: str) -> str:
        """Return the complaint, with the layer that writes its stream."""
        for stream in self.accelerator.manifest["streams"]:
            if f"'{stream['tensors'][0]}'" in complaint:
                what = complaint.split(",")[0].removeprefix("WARNING: ")
                return f"{what} [written by layer {stream['layer'] or 'read_pixels'}]"
        return complaint


def _decode(entry: dict, words: np.ndarray) -> np.ndarray:
    """Return the beats of a frame, [beats, 64-bit words], as integers [H, W, C]."""
    stream = Stream.from_dict(entry)
    if len(words) != stream.beats:
        raise VerificationError(
            f"csim: stream {entry['tensors'][0]} has {len(words)} beats a frame instead of {stream.beats}"
            f" [written by layer {entry['layer'] or 'read_pixels'}]"
        )
    return decode(words, stream)[0]


def _compiled(project: Path, manifest: dict) -> Path:
    """Return the project's program, from the cache if its sources and tools are the same."""
    sources = sorted(name for name in manifest["files"] if name.endswith((".cpp", ".hpp")))
    contents = [part for name in sources for part in (name, (project / name).read_bytes())]
    streams = [path.read_bytes() for path in sorted(CONCURRENT_FOLDER.glob("*.h"))]
    key = digest(repr(FLAGS), _compiler_version(), str(ap_types_folder()), *streams, *contents)
    inputs = [project / name for name in SOURCES]
    return cached(f"csim-{key}", lambda folder: compile_cpp(inputs, folder / "csim", concurrent=True)) / "csim"


def _compiler_version() -> str:
    try:
        return subprocess.run(["g++", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()
    except FileNotFoundError as error:
        raise FlowError("HLS C simulation needs g++: apt-get install g++") from error
