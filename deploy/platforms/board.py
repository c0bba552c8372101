"""A PYNQ board: the overlay, its DMA and memory by pynq."""

from __future__ import annotations

import os
import time

import numpy as np
import pynq

from ..errors import DeviceError, PackageError, TransferTimeout
from ..package import BITFILE, Package
from . import Platform
from .lock import lock_board

ACCELERATOR, DMA = "accelerator", "dma"  # cells of the block design (flow/emit/templates/vivado)
CONTROL, RESET, RUN = 0x00, 1 << 2, 1 << 0  # of both channels of the DMA, Xilinx PG021
SEND, RECEIVE = 0x00, 0x30
RESET_SECONDS = 1.0


class Board(Platform):
    """The bitfile of the package, loaded onto the board's first device or the one given."""

    simulated = False
    slack = 1.0

    def __init__(self, package: Package, device: pynq.Device | None = None, download: bool = True):
        if not package.has(BITFILE):
            raise PackageError(
                f"{package.folder} has no {BITFILE}: flow build --bitfile makes it where Vivado is installed; use --platform sim without"
            )
        path = package.path(BITFILE)
        package.path(path.with_suffix(".hwh").name)
        self._lock = lock_board()
        self._buffers: list[np.ndarray] = []
        try:
            self.overlay = pynq.Overlay(str(path), device=device, download=download)
            missing = [name for name in (ACCELERATOR, DMA) if name not in self.overlay.ip_dict]
            if missing:
                raise PackageError(f"{path} has no {missing[0]}: it is of another design")
        except RuntimeError as error:
            os.close(self._lock)
            raise DeviceError(f"{path} cannot be loaded ({error}): is this a PYNQ board, and are you root?") from error
        except PackageError:
            os.close(self._lock)
            raise
        self.accelerator, self.dma = getattr(self.overlay, ACCELERATOR), getattr(self.overlay, DMA)
        self.device = device
        self._logits: np.ndarray | None = None

    def read(self, address):
        return self.accelerator.read(address)

    def write(self, address, value):
        self.accelerator.write(address, value)

    def allocate(self, shape, dtype):
        buffer = pynq.allocate(shape, dtype, target=self.device)
        self._buffers.append(buffer)
        return buffer

    def load_weights(self, weights: bytes) -> int:
        buffer = self.allocate((len(weights),), np.uint8)
        buffer[:] = np.frombuffer(weights, np.uint8)
        buffer.flush()
        return buffer.device_address

    def send(self, buffer, frames):
        buffer.flush()
        self.dma.sendchannel.transfer(buffer, nbytes=buffer[:1].nbytes * frames)

    def receive(self, buffer, frames):
        self._logits = buffer
        self.dma.recvchannel.transfer(buffer, nbytes=buffer[:1].nbytes * frames)

    def wait_sent(self, seconds):
        self._wait(self.dma.sendchannel, "the images were not sent", seconds)

    def wait_received(self, seconds):
        self._wait(self.dma.recvchannel, "the logits were not received", seconds)
        self._logits.invalidate()

    def _wait(self, channel, what: str, seconds: float) -> None:
        """As the channel's own wait, which has no time-out."""
        end = time.monotonic() + seconds
        while not channel.idle:
            if channel.error:
                raise DeviceError(f"{what}: the DMA reports an error")
            if time.monotonic() > end:
                raise TransferTimeout(f"{what} within {seconds:.3g} s")

    def abort(self):
        """Resets the whole DMA and starts its channels again."""
        self.dma.write(SEND + CONTROL, RESET)
        end = time.monotonic() + RESET_SECONDS
        while self.dma.read(SEND + CONTROL) & RESET:
            if time.monotonic() > end:
                raise DeviceError("the DMA does not come out of reset: load the bitfile again")
        self.dma.sendchannel.start()
        self.dma.recvchannel.start()

    def seconds(self):
        return time.perf_counter()

    def close(self):
        for buffer in self._buffers:
            buffer.freebuffer()
        self._buffers = []
        os.close(self._lock)
