"""A PYNQ board: the overlay, its DMA and memory by pynq."""

from __future__ import annotations

import math
import os
import time

import numpy as np
import pynq

from ..errors import DeviceError, PackageError, TransferTimeout
from ..package import BITFILE, Package
from .lock import lock_board
from .platform import Platform

ACCELERATOR, DMA = "accelerator", "dma"  # cells of the block design (flow/emit/templates/vivado)
SEND, RECEIVE = 0x00, 0x30  # channels of the DMA, Xilinx PG021
CONTROL, STATUS, RESET = 0x00, 0x04, 1 << 2
RESET_SECONDS = 1.0


class Board(Platform):
    """The bitfile of the package, loaded onto the board's first device or the one given."""

    simulated = False
    slack = 1.0

    def __init__(self, package: Package, device: pynq.Device | None = None, download: bool = True):
        if not package.has(BITFILE):
            raise PackageError(
                f"{package.folder} has no {BITFILE}: flow build --bitfile makes it where Vivado is installed; "
                "use --platform sim without"
            )
        path = package.path(BITFILE)
        package.path(path.with_suffix(".hwh").name)
        self._lock = lock_board()
        self.device = device
        self._buffers: list[np.ndarray] = []
        self._logits: np.ndarray | None = None
        try:
            self.overlay = pynq.Overlay(str(path), device=device, download=download)
            missing = [name for name in (ACCELERATOR, DMA) if name not in self.overlay.ip_dict]
            if missing:
                raise PackageError(f"{path} has no {missing[0]}: it is of another design")
            self.accelerator, self.dma = getattr(self.overlay, ACCELERATOR), getattr(self.overlay, DMA)
        except (RuntimeError, OSError) as error:  # OSError is what pynq raises where root is needed
            os.close(self._lock)
            raise DeviceError(f"{path} cannot be loaded ({error}): is this a PYNQ board, and are you root?") from error
        except BaseException:
            os.close(self._lock)
            raise

    def read(self, address):
        return self.accelerator.read(address)

    def write(self, address, value):
        self.accelerator.write(address, value)

    def allocate(self, shape, dtype):
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size > self.dma.buffer_max_size:
            raise DeviceError(
                f"{size} bytes are more than the DMA moves at once, {self.dma.buffer_max_size}: lower the batch"
            )
        try:
            buffer = pynq.allocate(shape, dtype, target=self.device)
        except RuntimeError as error:
            raise DeviceError(f"the board has no {size} bytes for a buffer ({error}): lower the batch") from error
        self._buffers.append(buffer)
        return buffer

    def load_weights(self, weights: bytes) -> int:
        buffer = self.allocate((len(weights),), np.uint8)
        buffer[:] = np.frombuffer(weights, np.uint8)
        buffer.flush()
        return buffer.device_address

    def send(self, buffer, frames):
        self.dma.sendchannel.transfer(buffer, nbytes=buffer[:1].nbytes * frames)  # flushes the buffer

    def receive(self, buffer, frames):
        self._logits = buffer
        self.dma.recvchannel.transfer(buffer, nbytes=buffer[:1].nbytes * frames)

    def wait_sent(self, seconds):
        self._wait(self.dma.sendchannel, "the images were not sent", seconds)

    def wait_received(self, seconds):
        self._wait(self.dma.recvchannel, "the logits were not received", seconds)
        self._logits.invalidate()

    def _wait(self, channel, what: str, seconds: float) -> None:
        """Wait as the channel does, but with a time-out, and see errors of both: one halts, the other waits on."""
        end = self.seconds() + seconds
        while not channel.idle:
            if self.dma.sendchannel.error or self.dma.recvchannel.error:
                images, logits = (self.dma.read(base + STATUS) for base in (SEND, RECEIVE))
                raise DeviceError(
                    f"the DMA reports an error: its DMASR are {images:#x} (images) and {logits:#x} (logits)"
                )
            if self.seconds() > end:
                raise TransferTimeout(f"{what} within {seconds:.3g} s")

    def abort(self):
        """Reset the whole DMA and start its channels again."""
        self.dma.write(SEND + CONTROL, RESET)
        end = self.seconds() + RESET_SECONDS
        while self.dma.read(SEND + CONTROL) & RESET:
            if self.seconds() > end:
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
