"""The accelerator in Verilator, as a board of its own: no pynq, no board, every bit and every cycle of the RTL."""

from __future__ import annotations

import math

import numpy as np

from ..errors import DeviceError, TransferTimeout
from ..package import SIMULATOR, Package
from ..simulator import Device
from ..trust import require_trusted
from .platform import Platform

BUFFER_BYTES = 1 << 29  # as a board's whole memory
STEP = 2_000  # cycles between looks at a transfer


class SimulatedBoard(Platform):
    """The simulator of the package. Time is its cycles at the clock of the build; it stands still between calls."""

    simulated = True
    slack = 0.01

    def __init__(self, package: Package):
        if not package.has(SIMULATOR):
            raise DeviceError(
                f"{package.folder} has no simulator: build it with flow build, which needs Verilator, "
                "or use --platform board"
            )
        for name in package.files:  # its memories are read at power-up
            if name.startswith("sim/"):
                package.path(name)
        library = package.path(SIMULATOR).resolve()
        require_trusted(library, package.files[SIMULATOR])
        self.clock_mhz = package.clock_mhz
        self.device = Device(library, library.parent, package.weights(), streams=package.streams)
        self._received: np.ndarray | None = None

    def read(self, address: int) -> int:
        return self.device.read(address)

    def write(self, address: int, value: int) -> None:
        self.device.write(address, value)

    def allocate(self, shape, dtype):
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size > BUFFER_BYTES:
            raise DeviceError(f"{size} bytes are more than a buffer may have, {BUFFER_BYTES}: lower the batch")
        return np.zeros(shape, dtype)

    def load_weights(self, weights: bytes) -> int:
        return 0  # they are in its memory since power-up

    def send(self, buffer, frames):
        self.device.queue_pixels(buffer[:frames])

    def receive(self, buffer, frames):
        self._received = buffer[:frames]
        self.device.queue_logits(self._received.size)

    def wait_sent(self, seconds):
        self._run(0, seconds, "sent", "pixel words")

    def wait_received(self, seconds):
        self._run(1, seconds, "received", "logits")
        self._received[...] = self.device.logits.reshape(self._received.shape)
        lasts = np.flatnonzero(self.device.lasts).tolist()
        if lasts != [self._received.size - 1]:
            raise DeviceError(f"TLAST came with logits {lasts} of {self._received.size}, not with the last")

    def _run(self, direction: int, seconds: float, what: str, unit: str) -> None:
        device, end = self.device, self.device.cycles + seconds * self.clock_mhz * 1e6
        while device.waiting[direction]:
            if device.cycles > end:
                raise TransferTimeout(f"{device.waiting[direction]} {unit} were not {what} within {seconds:.3g} s")
            device.step(STEP)

    def abort(self):
        self.device.drop()

    def seconds(self):
        return self.device.cycles / (self.clock_mhz * 1e6)
