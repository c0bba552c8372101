"""A simulated accelerator as software sees it: registers, a stream of pixels in, a stream of logits out.

The simulator is a shared library that was made by Verilator from the accelerator's RTL; `flow build` puts it into the
package.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .errors import DeployError
from .frames import padded

CHUNK = 20_000  # cycles between looks at Ctrl-C


class SimulatorError(DeployError):
    """A bus protocol was broken, a register access got no answer, or a module stopped with $fatal."""


class _Recording(ctypes.Structure):
    _fields_ = [("words", ctypes.c_void_p), ("count", ctypes.c_int64), ("done", ctypes.c_int64)]


class _State(ctypes.Structure):
    _fields_ = [("valid", ctypes.c_int32), ("ready", ctypes.c_int32)]


class _Settings(ctypes.Structure):
    _fields_ = [
        ("seed", ctypes.c_uint64),
        ("p_valid", ctypes.c_double),
        ("p_ready", ctypes.c_double),
        ("latency", ctypes.c_uint64),
        ("bandwidth", ctypes.c_double),
        ("memory", ctypes.c_void_p),
        ("memory_bytes", ctypes.c_uint64),
    ]


class _Traffic(ctypes.Structure):
    _fields_ = [
        ("pixels", ctypes.c_void_p),
        ("pixel_count", ctypes.c_int64),
        ("pixels_done", ctypes.c_int64),
        ("logits", ctypes.c_void_p),
        ("lasts", ctypes.c_void_p),
        ("logit_count", ctypes.c_int64),
        ("logits_done", ctypes.c_int64),
        ("cycles", ctypes.c_int64),
        ("ddr_bytes", ctypes.c_int64),
        ("error", ctypes.c_char * 2048),
        ("packet", ctypes.c_int32),
    ]


class Device:
    """A verilated accelerator_top after power-up and reset.

    Args:
        library: from `build_accelerator`.
        data: folder with the $readmemh files, which are read now.
        memory: the DDR from address 0, read as the clock runs; an array may be changed between calls.
        latency, bandwidth: of the DDR, in cycles and in 64-bit words a cycle.
        streams: number of streams that can be recorded.
        error: what is raised, by any method, when the simulation went wrong.
    """

    def __init__(
        self,
        library: Path,
        data: Path,
        memory: bytes | np.ndarray,
        *,
        streams: int,
        latency: int = 60,
        bandwidth: float = 0.75,
        seed: int = 0,
        error: type = SimulatorError,
    ):
        self._handle, self._error = None, error
        self._library = ctypes.CDLL(str(library))
        self._library.accelerator_new.restype = ctypes.c_void_p
        self._traffic = _Traffic()
        self._recordings, self._states = (_Recording * streams)(), (_State * streams)()
        self.words: list[np.ndarray] = []  # recorded, by stream
        self._memory = np.frombuffer(memory, np.uint8)
        settings = _Settings(seed, 1.0, 1.0, latency, bandwidth, self._memory.ctypes.data, self._memory.size)
        arguments = ctypes.byref(settings), ctypes.byref(self._traffic), self._recordings, self._states, streams
        with _inside(data):
            handle = self._library.accelerator_new(*arguments)
        self._check(handle is None)
        self._handle = ctypes.c_void_p(handle)

    def __del__(self):
        if self._handle is not None:
            self._library.accelerator_delete(self._handle)

    @property
    def cycles(self) -> int:
        """Clock cycles since power-up."""
        return self._traffic.cycles

    @property
    def ddr_bytes(self) -> int:
        """Bytes read over m_axi since power-up."""
        return self._traffic.ddr_bytes

    @property
    def beats(self) -> tuple[int, int]:
        """Pixel words taken and logits given since `send`."""
        return self._traffic.pixels_done, self._traffic.logits_done

    def write(self, address: int, data: int) -> None:
        """Write the 32-bit register at a byte address."""
        self._check(self._library.accelerator_write(self._handle, ctypes.byref(self._traffic), address, data))

    def read(self, address: int) -> int:
        """Return the 32-bit register at a byte address."""
        data = ctypes.c_uint32()
        self._check(
            self._library.accelerator_read(self._handle, ctypes.byref(self._traffic), address, ctypes.byref(data))
        )
        return data.value

    def send(
        self, images: np.ndarray, logits: int, *, input_gaps: float = 0.0, output_stalls: float = 0.0, seed: int = 0
    ) -> None:
        """Queue images uint8, and room for so many logits, after a run that came to its end or was dropped.

        A pixel word waits with probability `input_gaps` each cycle before it is offered, m_axis is not ready with
        `output_stalls`.
        """
        self.queue_pixels(images)
        self.queue_logits(logits)
        gaps = ctypes.c_double(1 - input_gaps), ctypes.c_double(1 - output_stalls)
        self._library.accelerator_randomize(self._handle, ctypes.c_uint64(seed), *gaps)

    def queue_pixels(self, images: np.ndarray) -> None:
        """Queue images uint8 [N, ...], or bytes of whole words; they are read as the clock runs: leave them as they
        are."""
        words = padded(images) if images.ndim > 1 else np.ascontiguousarray(images, np.uint8)
        self._pixels = words.reshape(-1).view("<u8")
        traffic = self._traffic
        traffic.pixels, traffic.pixel_count, traffic.pixels_done = self._pixels.ctypes.data, len(self._pixels), 0

    def queue_logits(self, count: int) -> None:
        """Make room for the next ``count`` logits, which are in `logits` when they have come; `lasts` is TLAST of
        each."""
        self.logits, self.lasts = np.zeros(count, np.int32), np.zeros(count, np.uint8)
        traffic = self._traffic
        traffic.logits, traffic.lasts = self.logits.ctypes.data, self.lasts.ctypes.data
        traffic.logit_count, traffic.logits_done, traffic.packet = count, 0, 0

    def queue_packet(self, room: int) -> None:
        """Make room as `queue_logits` does, for one packet: its TLAST takes away the room that is left."""
        self.queue_logits(room)
        self._traffic.packet = 1

    def drop(self) -> None:
        """Drop what is queued, with the word that is offered: only while the core is in reset, or valid would fall."""
        self._traffic.pixel_count, self._traffic.logit_count = self.beats
        self._library.accelerator_restart_input(self._handle)

    def record(self, counts: list[int]) -> None:
        """Record the next counts[i] 64-bit words of stream i into `words[i]`; 0 records nothing."""
        self.words = [np.zeros(count, np.uint64) for count in counts]
        for recording, words in zip(self._recordings, self.words):
            recording.words, recording.count, recording.done = words.ctypes.data, len(words), 0
        self._library.accelerator_open_taps(self._handle)

    def recorded(self) -> list[int]:
        """Return the words that were recorded of each stream."""
        return [recording.done for recording in self._recordings]

    @property
    def waiting(self) -> tuple[int, int]:
        """Pixel words queued and not taken, logits wanted and not given."""
        traffic = self._traffic
        return traffic.pixel_count - traffic.pixels_done, traffic.logit_count - traffic.logits_done

    def run(self, cycles: int) -> None:
        """Run the clock until all logits are there, at most so many cycles. Ctrl-C ends it between two cycles."""
        end = self.cycles + cycles
        while self.cycles < end and self._traffic.logits_done < self._traffic.logit_count:
            self.step(min(CHUNK, end - self.cycles))

    def step(self, cycles: int) -> None:
        """Run so many cycles, or until all logits are there; at least one."""
        before = self.cycles
        self._check(self._library.accelerator_run(self._handle, ctypes.byref(self._traffic), ctypes.c_int64(cycles)))
        if self.cycles == before:
            self.states()

    def advance(self, cycles: int) -> None:
        """Run so many cycles, whether logits are expected or not."""
        self._check(
            self._library.accelerator_advance(self._handle, ctypes.byref(self._traffic), ctypes.c_int64(cycles))
        )

    def states(self) -> list[tuple[bool, bool]]:
        """Return (valid, ready) of each stream now; runs one cycle."""
        self._check(self._library.accelerator_snapshot(self._handle, ctypes.byref(self._traffic)))
        return [(bool(state.valid), bool(state.ready)) for state in self._states]

    def _check(self, failed: bool) -> None:
        if failed:
            raise self._error(
                f"accelerator, cycle {self.cycles}: {self._traffic.error.decode(errors='replace').strip()}"
            )


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in ``folder``, from where $readmemh reads."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
