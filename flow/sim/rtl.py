"""Runs an emitted RTL project on images: every cycle and every bit of the accelerator, driven over its buses."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deploy.registers import AXI_ERROR, ENABLE, IDLE, SOFT_RESET, Registers
from deploy.simulator import Device
from flow.errors import FlowError, VerificationError
from flow.nodes import Stream
from flow.project import DDR_FILE, check_project, read_manifest
from flow.sim.accelerator_build import build_accelerator
from flow.sim.build import RtlError
from flow.sim.streams import decode, words_of

QUIET_CYCLES = 200_000  # at least, without any transfer: a deadlock
LOOK_CYCLES, SHORT_LOOK_CYCLES = 50_000, 200  # between looks at the progress, at most and at least
DRAIN_CYCLES = 2_000  # without a recorded beat after the last logit: then none comes
NAMED_STREAMS = 20  # at most, in a message

Progress = Callable[[int, int, int], None]  # frames done, of, cycles


class DeadlockError(VerificationError):
    """The accelerator stands still; the message names the streams that wait."""


@dataclass(frozen=True)
class RtlResult:
    """What a run gave.

    logits: int32 [N, classes]. streams: the recorded frames, tensor -> [frames, H, W, C] (bipolar as -1 and +1).
    cycles_per_frame, latency_cycles: control's INTERVAL (0 with one frame) and LATENCY after the last frame.
    first_latency_cycles: LATENCY of the first frame, which entered an empty pipeline; None if it was not seen in time.
    total_cycles: from the first pixel word offered to the last logit. layers: frames, busy, stall, starve of each
    layer, by node name. seconds: of simulation.
    """

    logits: np.ndarray
    streams: dict[str, np.ndarray]
    frames: int
    cycles_per_frame: int
    latency_cycles: int
    first_latency_cycles: int | None
    total_cycles: int
    ddr_bytes: int
    axi_errors: int
    layers: dict[str, dict[str, int]]
    seconds: float

    @property
    def cycles_per_second(self) -> float:
        """Clock cycles that were simulated a second."""
        return self.total_cycles / self.seconds


class RtlAccelerator:
    """The RTL project in ``project`` as a simulated device, built on construction or taken from the cache.

    The device keeps its state between calls of `execute`, as a board does; after an exception the next call starts a
    fresh one.

    Args:
        verify: refuse a project whose files are not what was emitted.
        ddr_latency, ddr_bandwidth: of the memory model, in cycles and in 64-bit words a cycle.
        sources: files of its accelerator_top, as of a netlist, instead of the project's.

    Raises:
        VerificationError: a file is not what the emitter wrote; names its layer.
        FlowError: no project there.
        RtlError: no Verilator or g++, or the project does not build.
    """

    def __init__(
        self,
        project: Path,
        *,
        verify: bool = True,
        ddr_latency: int = 60,
        ddr_bandwidth: float = 0.75,
        sources: Sequence[Path] = (),
    ):
        self.project = Path(project)
        self.manifest = check_project(self.project) if verify else read_manifest(self.project)
        self.registers = Registers(
            lambda address: self.device.read(address),
            lambda address, value: self.device.write(address, value),
            self.manifest["registers"],
        )
        self.regions = self.manifest["regions"]
        # tensor -> layer, in topological order
        self.order = {stream["tensor"]: stream["layer"] for stream in self.manifest["streams"]}
        self._ddr = {"latency": ddr_latency, "bandwidth": ddr_bandwidth}
        started = time.monotonic()
        self.library = build_accelerator(self.project.resolve(), ddr=bool(self.regions), sources=sources)
        self.build_seconds = time.monotonic() - started
        self._device: Device | None = None

    @property
    def device(self) -> Device:
        """The simulated device; powered up on first use, when it reads its memories."""
        if self._device is None:
            memory = (self.project / "data" / DDR_FILE).read_bytes() if self.regions else b""
            streams = len(self.manifest["streams"])
            self._device = Device(
                self.library, self.project / "data", memory, streams=streams, error=RtlError, **self._ddr
            )
            self._configure(self._device)
        return self._device

    def execute(
        self,
        images: np.ndarray,
        record: bool | int = False,
        *,
        input_gaps: float = 0.0,
        output_stalls: float = 0.0,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> RtlResult:
        """Run images uint8 [N, H, W, C] as one packet.

        Args:
            record: frames, from the first on, whose streams are recorded (True: all).
            input_gaps, output_stalls: chance a cycle that a pixel word waits, that m_axis is not ready.
            seed: of these chances.
            progress: called a few times a second.

        Raises:
            DeadlockError: nothing moves any more, or a frame takes far too long; names the streams that wait.
            VerificationError: another build id, TLAST in the wrong place, or a count of frames that is wrong.
            RtlError: a bus protocol was broken.
            FlowError: images of another shape or type.
        """
        images = np.ascontiguousarray(images)
        shape = tuple(self.manifest["image"])
        if images.dtype != np.uint8 or images.shape[1:] != shape or not len(images):
            raise FlowError(
                f"rtl takes uint8 images [N, {', '.join(map(str, shape))}], not {images.dtype} {list(images.shape)}"
            )
        frames = len(images)
        recorded = frames if record is True else min(int(record), frames)
        try:
            return self._execute(
                images, recorded, {"input_gaps": input_gaps, "output_stalls": output_stalls, "seed": seed}, progress
            )
        except BaseException:
            self._device = None
            raise

    def reset(self) -> None:
        """Reset the core by software: the frames inside, and what was queued for them, are dropped."""
        self.registers.write("CTRL", ENABLE | SOFT_RESET)
        self.device.drop()

    def read_layers(self) -> dict[str, dict[str, int]]:
        """Return the counters of each layer, by node name."""
        return {
            layer["layer"]: vars(self.registers.layer(index)) for index, layer in enumerate(self.manifest["layers"])
        }

    def waiting_streams(self) -> str:
        """Return in words which streams offer a beat that is not taken, and which wait for one."""
        states = dict(zip(self.order, self.device.states()))
        offered = [tensor for tensor, (valid, ready) in states.items() if valid and not ready]
        wanted = [tensor for tensor, (valid, ready) in states.items() if ready and not valid]
        return f"valid but not ready: {_listing(offered)}; ready but not valid: {_listing(wanted)}"

    def _configure(self, device: Device) -> None:
        registers = Registers(device.read, device.write, self.manifest["registers"])
        found = registers.build_id()
        if found != int(self.manifest["build_id"], 16):
            raise VerificationError(
                f"{self.project}: the accelerator has build id {found:032x}, the manifest {self.manifest['build_id']}: "
                "emit the RTL project again"
            )
        for index, region in enumerate(self.regions):
            registers.set_weight_base(index, region["offset"])

    def _execute(self, images: np.ndarray, recorded: int, traffic: dict, progress: Progress | None) -> RtlResult:
        device, registers, classes = self.device, self.registers, self.manifest["classes"]
        started, first_bytes = time.monotonic(), device.ddr_bytes
        registers.write("FRAMES_PER_PACKET", len(images))
        registers.clear()
        device.record([recorded * _words(stream) for stream in self.manifest["streams"]])
        device.send(images, classes * len(images), **traffic)
        first_cycle = device.cycles
        first_latency = self._run(len(images), traffic, started, progress)
        total = device.cycles - first_cycle
        self._check_packet(len(images))
        return RtlResult(
            logits=device.logits.reshape(len(images), classes),
            streams=self._streams() if recorded else {},
            frames=registers.read("FRAMES_OUT"),
            cycles_per_frame=registers.read("INTERVAL"),
            latency_cycles=registers.read("LATENCY"),
            first_latency_cycles=first_latency,
            total_cycles=total,
            ddr_bytes=device.ddr_bytes - first_bytes,
            axi_errors=int(bool(registers.read("STATUS") & AXI_ERROR)),
            layers=self.read_layers(),
            seconds=time.monotonic() - started,
        )

    def _run(self, frames: int, traffic: dict, started: float, progress: Progress | None) -> int | None:
        """Run until the last logit; return the latency of the first frame, if it was seen."""
        device, classes = self.device, self.manifest["classes"]
        slowness = 1 / max(1e-3, 1 - traffic["input_gaps"]) / max(1e-3, 1 - traffic["output_stalls"])
        period = round(slowness * self.manifest["cycles_per_frame"])
        quiet = max(QUIET_CYCLES, 2 * period)
        # a layer with weights in DDR holds two frames
        frame_limit = QUIET_CYCLES + 4 * (4 + 2 * len(self.regions)) * period
        progress_at, logit_at = [device.cycles] * 2  # cycles at which something moved, at which a logit came
        before, shown = self._moved(), started
        look = min(LOOK_CYCLES, max(SHORT_LOOK_CYCLES, period // 2))
        first_latency = None
        device.run(look)
        while device.beats[1] < classes * frames:
            if first_latency is None and device.beats[1] >= classes:
                first_latency = self._first_latency()
            now = self._moved()
            progress_at = device.cycles if now != before else progress_at
            logit_at = device.cycles if now[1] != before[1] else logit_at
            before = now
            if device.cycles - progress_at > quiet:
                raise self._deadlock(f"no beat moved for {quiet} cycles")
            if device.cycles - logit_at > frame_limit:
                raise self._deadlock(f"no logit came for {frame_limit} cycles")
            if progress and time.monotonic() - shown > 0.2:
                shown = time.monotonic()
                progress(now[1] // classes, frames, device.cycles)
            device.run(look)
        if progress:
            progress(frames, frames, device.cycles)
        return first_latency if frames > 1 else self._first_latency()

    def _first_latency(self) -> int | None:
        """Return LATENCY while it is that of the first frame, which entered an empty pipeline; else None."""
        latency = self.registers.read("LATENCY")
        return latency if self.registers.read("FRAMES_OUT") == 1 else None

    def _moved(self) -> tuple[int, ...]:
        """Return numbers that grow with every pixel, logit and weight word on the buses, and with every beat that
        leaves a layer."""
        device = self.device
        busy = [self.registers.counter(layer, "busy") for layer in range(len(self.manifest["layers"]))]
        return (*device.beats, device.ddr_bytes, *busy)

    def _deadlock(self, what: str) -> DeadlockError:
        pixels, logits = self.device.beats
        where = f"after {pixels} pixel words and {logits} logits"
        return DeadlockError(f"{self.project}: {what} {where}, at cycle {self.device.cycles}. {self.waiting_streams()}")

    def _check_packet(self, frames: int) -> None:
        device = self.device
        lasts = np.flatnonzero(device.lasts).tolist()
        if lasts != [len(device.lasts) - 1]:
            raise VerificationError(
                f"{self.project}: TLAST came with logits {lasts} of {len(device.lasts)}, not with the last"
            )
        counted = self.registers.read("FRAMES_IN"), self.registers.read("FRAMES_OUT")
        if counted != (frames, frames):
            raise VerificationError(f"{self.project}: FRAMES_IN, FRAMES_OUT are {counted} after {frames} frames")
        if not self.registers.read("STATUS") & IDLE:
            raise VerificationError(f"{self.project}: not idle after {frames} frames")

    def _drain(self) -> None:
        """Run on until the recorded streams have all their words, or none comes any more.

        The last logits may be out before beats that nothing needs, such as the last row before a pool of odd height.
        """
        missing, left = None, self._words_missing()
        while left and left != missing:
            missing = left
            self.device.advance(DRAIN_CYCLES)
            left = self._words_missing()

    def _words_missing(self) -> int:
        return sum(len(words) - done for words, done in zip(self.device.words, self.device.recorded()))

    def _streams(self) -> dict[str, np.ndarray]:
        self._drain()
        streams = {}
        for stream, words, done in zip(self.manifest["streams"], self.device.words, self.device.recorded()):
            if done != len(words):
                name, layer = stream["tensor"], stream["layer"]
                raise VerificationError(f"layer {layer}: its stream {name} had {done} words instead of {len(words)}")
            streams[stream["tensor"]] = decode(words, Stream.from_dict(stream))
        return streams


def _listing(names: list[str]) -> str:
    more = len(names) - NAMED_STREAMS
    return (", ".join(names[:NAMED_STREAMS]) or "none") + (f" and {more} more" if more > 0 else "")


def _words(entry: dict) -> int:
    """Return the 64-bit words of a frame."""
    stream = Stream.from_dict(entry)
    return stream.beats * words_of(stream.beat_bits)


__all__ = ["DeadlockError", "RtlAccelerator", "RtlError", "RtlResult"]
