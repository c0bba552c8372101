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
CONTROL, STATUS, LENGTH = 0x00, 0x04, 0x28  # registers of a channel
RESET = 1 << 2  # of CONTROL
IDLE, ERRORS = 1 << 1, 0x770  # of STATUS
RESET_SECONDS = 1.0
CLOCK_TOLERANCE = 0.01


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
        self._logit_bytes = 0
        try:
            self.overlay = pynq.Overlay(str(path), device=device, download=download)
            missing = [name for name in (ACCELERATOR, DMA) if name not in self.overlay.ip_dict]
            if missing:
                raise PackageError(f"{path} has no {missing[0]}: it is of another design")
            self.accelerator, self.dma = getattr(self.overlay, ACCELERATOR), getattr(self.overlay, DMA)
            self.clock_mhz = set_clock(package.clock_mhz)
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
        self._transfer(self.dma.sendchannel, buffer, buffer[:frames].nbytes)  # flushes the buffer

    def receive(self, buffer, frames):
        self._logits, self._logit_bytes = buffer, buffer[:frames].nbytes
        self._transfer(self.dma.recvchannel, buffer, self._logit_bytes)

    def _transfer(self, channel, buffer, size: int) -> None:
        try:
            channel.transfer(buffer, nbytes=size)
        except RuntimeError as error:  # the channel has stopped, or is still at work
            raise DeviceError(f"the DMA does not begin a transfer of {size} bytes ({error})") from error

    def wait_sent(self, seconds):
        self._wait(SEND, "the images were not sent", seconds)

    def wait_received(self, seconds):
        self._wait(RECEIVE, "the logits were not received", seconds)
        self._logits.invalidate()

    def _wait(self, channel: int, what: str, seconds: float) -> None:
        """Wait until a channel is idle, with a time-out, and see what fails in either: one ends, the other waits on.

        Each status is read once a turn, and errors go before idle: a transfer that fails may leave both.
        """
        end = self.seconds() + seconds
        while True:
            status = {base: self.dma.read(base + STATUS) for base in (SEND, RECEIVE)}
            if any(value & ERRORS for value in status.values()):
                raise DeviceError(
                    f"the DMA reports an error: its DMASR are {status[SEND]:#x} (images) and "
                    f"{status[RECEIVE]:#x} (logits)"
                )
            if status[RECEIVE] & IDLE and (received := self.dma.read(RECEIVE + LENGTH)) != self._logit_bytes:
                raise DeviceError(f"a packet of {received} bytes of logits came, not of {self._logit_bytes}")
            if status[channel] & IDLE:
                return
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


def set_clock(wanted_mhz: float) -> float:
    """Set the clock of the logic to ``wanted_mhz``, as close as the board can; return what it is now, in MHz.

    pynq's Overlay writes the divisors of the hand-off, which are right for the PLL that Vivado assumed; here they are
    found from the PLL that the board has.

    Raises:
        DeviceError: the clock differs by more than CLOCK_TOLERANCE.
    """
    pynq.Clocks.fclk0_mhz = wanted_mhz
    found = float(pynq.Clocks.fclk0_mhz)
    if abs(found - wanted_mhz) > CLOCK_TOLERANCE * wanted_mhz:
        raise DeviceError(
            f"the accelerator needs a clock of {wanted_mhz:g} MHz, and the closest that this board makes is "
            f"{found:g} MHz: build for a clock that it makes, or use an image of PYNQ for this board"
        )
    return found
