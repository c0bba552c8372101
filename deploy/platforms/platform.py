"""What the driver sees of a place where accelerators run: registers, buffers and two streams."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np


class Platform(ABC):
    """Registers of the accelerator, memory that its DMA reaches, and a transfer at a time in each direction.

    ``simulated``: times are cycles at the clock, not measurements. ``clock_mhz``: of the accelerator, as it runs.
    ``slack``: seconds of the accelerator's time that are added to the limit of a transfer.
    """

    simulated: bool
    clock_mhz: float
    slack: float

    @abstractmethod
    def read(self, address: int) -> int:
        """Return a 32-bit register of the accelerator."""

    @abstractmethod
    def write(self, address: int, value: int) -> None:
        """Write a 32-bit register of the accelerator."""

    @abstractmethod
    def allocate(self, shape: tuple[int, ...], dtype) -> np.ndarray:
        """Return an array that `send` and `receive` take."""

    @abstractmethod
    def load_weights(self, weights: bytes) -> int:
        """Put the weights where the accelerator reads them; return their address."""

    @abstractmethod
    def send(self, buffer: np.ndarray, frames: int) -> None:
        """Start to send the first ``frames`` images of a buffer uint8 [N, H, W, C]."""

    @abstractmethod
    def receive(self, buffer: np.ndarray, frames: int) -> None:
        """Start to receive the logits of as many frames into a buffer int32 [N, classes]."""

    @abstractmethod
    def wait_sent(self, seconds: float) -> None:
        """Wait for the end of `send`; raise TransferTimeout after so many seconds of the accelerator's time."""

    @abstractmethod
    def wait_received(self, seconds: float) -> None:
        """Wait for the end of `receive`, as `wait_sent`."""

    @abstractmethod
    def abort(self) -> None:
        """Drop both transfers. The accelerator must be in reset."""

    @abstractmethod
    def seconds(self) -> float:
        """Return a clock: of the world, or of the simulated accelerator."""

    def close(self) -> None:
        """Give back the memory that was allocated, and the device."""
