"""The driver: images in, logits out."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .errors import DeployError, DeviceError, PackageError
from .package import Package, find_package
from .platforms import Platform, open_platform
from .registers import AXI_ERROR, LayerCounters, Registers
from .scores import classes
from .signals import ending_signals_raise, ending_signals_wait

BATCH = 64  # frames of a transfer
PATIENCE = 4  # times what a transfer should take
FRAMES_INSIDE = 24  # frames that the accelerator may hold, or take the time of, before the first logit


class Accelerator:
    """The accelerator of one network, on a board or simulated.

        with Accelerator("build/bireal18-qat-pynq-z2/deploy") as accelerator:
            logits = accelerator.execute(images)

    Args:
        package: folder that `flow build` made, or a Package; without it the one of deploy.find_package.
        platform: "board", "sim", or a Platform; without it the board where pynq is installed, else the simulation.
        batch: frames of a transfer. Two input and two output buffers of so many are kept.

    A call that Ctrl-C, SIGTERM or SIGHUP ends stops its transfers first. SIGKILL (kill -9) cannot be caught: the DMA
    goes on in memory that Linux may have given to others, until the next Accelerator stops it.

    Raises:
        PackageError: a file of the package is missing or damaged.
        DeviceError: no such platform here, another process uses it, or it holds another build.
    """

    def __init__(
        self, package: str | Path | Package | None = None, platform: str | Platform | None = None, *, batch: int = BATCH
    ):
        self.package = package if isinstance(package, Package) else Package.load(package or find_package())
        if batch < 1:
            raise DeployError(f"batch is {batch}: must be 1 or more")
        self.batch = batch
        self.packing_seconds = 0.0  # of the last call, spent on copying images into buffers
        self.platform = platform if isinstance(platform, Platform) else open_platform(platform, self.package)
        self.registers = Registers(self.platform.read, self.platform.write, self.package.registers)
        try:
            self._check_build()
            self._start()
            self._inputs = [self.platform.allocate((batch, self.package.frame_bytes), np.uint8) for _ in range(2)]
            self._outputs = [self.platform.allocate((batch, self.package.classes), np.int32) for _ in range(2)]
        except BaseException:
            self.platform.close()
            raise

    def __enter__(self) -> Accelerator:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Stop the accelerator and give back its memory; a second call does nothing."""
        if self.platform is not None:
            self.registers.write("CTRL", 0)
            self.platform.close()
            self.platform = None

    def execute(self, images: np.ndarray) -> np.ndarray:
        """Return logits int32 [N, classes] of images uint8 [N, H, W, C], N >= 1; times ``package.logit_scale`` they are
        the network's.

        While the accelerator works on one batch the next is copied into the other buffer.

        Raises:
            DeployError: images of another shape or type.
            DeviceError: a transfer did not end, or the accelerator reports an error. It was reset, and the next call
                works.
        """
        images = self._checked(images)
        logits = np.empty((len(images), self.package.classes), np.int32)
        with ending_signals_raise(), self._recovering():
            self._run(images, logits)
        return logits

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return the classes int64 [N] of images uint8 [N, H, W, C], those of every pixel where the network gives maps;
        raise as `execute`."""
        return classes(self.execute(images), self.package.tail)

    # counters

    def cycles(self) -> int:
        """Return the cycles since the counters were cleared, while enabled."""
        low = self.registers.read("CYCLES_LOW")  # stores the high half
        return self.registers.read("CYCLES_HIGH") << 32 | low

    def latency_cycles(self) -> int:
        """Return the cycles from the first pixels of the newest frame to its last logit."""
        return self.registers.read("LATENCY")

    def interval_cycles(self) -> int:
        """Return the cycles between the last logits of the two newest frames; 0 before there are two."""
        return self.registers.read("INTERVAL")

    def layers(self) -> dict[str, LayerCounters]:
        """Return the counters of every layer, by name."""
        return {name: self.registers.layer(index) for index, name in enumerate(self.package.layers)}

    def clear_counters(self) -> None:
        """Start all counters at 0."""
        self.registers.clear()

    # inside

    def _check_build(self) -> None:
        found = self.registers.build_id()
        if found != int(self.package.build_id, 16):
            raise PackageError(
                f"the accelerator on the device is of build {found:032x}, the package of {self.package.build_id}: "
                "copy bitfile and package of one build"
            )

    def _start(self) -> None:
        self.registers.write("CTRL", 0)
        self.platform.abort()  # transfers of a process that was killed
        if self.package.regions:
            base = self.platform.load_weights(self.package.weights())
            for index, region in enumerate(self.package.regions):
                self.registers.set_weight_base(index, base + region.offset)
        self.clear_counters()

    def _checked(self, images: np.ndarray) -> np.ndarray:
        images = np.asarray(images)
        shape = tuple(self.package.image)
        takes = f"the accelerator takes uint8 images [N, {', '.join(map(str, shape))}]"
        if images.dtype != np.uint8:
            raise DeployError(f"{takes}, not {images.dtype}: give pixels 0..255 as they are, not normalised")
        if images.shape[1:] == (shape[2], *shape[:2]) != shape:
            raise DeployError(
                f"{takes}, not {list(images.shape)}, which has the channels first: images.transpose(0, 2, 3, 1)"
            )
        if images.shape == shape:
            raise DeployError(f"{takes}, not {list(images.shape)}: one image is images[None]")
        if images.shape[1:] != shape:
            raise DeployError(f"{takes}, not {list(images.shape)}")
        if not len(images):
            raise DeployError(f"{takes} with N of 1 or more")
        return images

    def _run(self, images: np.ndarray, logits: np.ndarray) -> None:
        """Run batches through two buffers a side; a batch's logits are a packet.

        The next batch is sent as soon as this one is in, so the accelerator never runs dry; only where the size of a
        packet changes must it have given all logits first.
        """
        platform, inputs, outputs = self.platform, self._inputs, self._outputs
        parts = [images[start : start + self.batch] for start in range(0, len(images), self.batch)]
        limits = [self._limit(len(part)) for part in parts]
        self.packing_seconds = 0.0
        self.registers.write("FRAMES_PER_PACKET", len(parts[0]))
        self._pack(inputs[0], parts[0])
        platform.receive(outputs[0], len(parts[0]))
        platform.send(inputs[0], len(parts[0]))
        for index, part in enumerate(parts):
            now, then = index % 2, (index + 1) % 2
            following = parts[index + 1] if index + 1 < len(parts) else part[:0]
            self._pack(inputs[then], following)
            platform.wait_sent(limits[index])
            if len(following) == len(part):
                platform.send(inputs[then], len(following))
            platform.wait_received(limits[index])
            if len(following):
                if len(following) != len(part):
                    self.registers.write("FRAMES_PER_PACKET", len(following))
                    platform.send(inputs[then], len(following))
                platform.receive(outputs[then], len(following))
            logits[index * self.batch :][: len(part)] = outputs[now][: len(part)]
        if self.registers.read("STATUS") & AXI_ERROR:
            raise DeviceError("the accelerator met an error when it read weights: is its memory still allocated?")

    def _pack(self, buffer: np.ndarray, images: np.ndarray) -> None:
        started = time.perf_counter()
        pixels = math.prod(self.package.image)
        buffer[: len(images), :pixels] = images.reshape(-1, pixels)  # the rest of the last word is dropped
        self.packing_seconds += time.perf_counter() - started

    def _limit(self, frames: int) -> float:
        """Return the seconds after which a transfer of so many frames counts as stuck."""
        cycles = (frames + FRAMES_INSIDE) * self.package.cycles_per_frame
        return PATIENCE * cycles / (self.platform.clock_mhz * 1e6) + self.platform.slack

    @contextmanager
    def _recovering(self) -> Iterator[None]:
        """Drop the transfers and the frames inside after any exception: nothing is left of the call."""
        try:
            yield
        except BaseException as error:
            with ending_signals_wait():
                state = self._state() if isinstance(error, DeviceError) else ""
                self.registers.write("CTRL", 0)
                self.platform.abort()
                self.clear_counters()
            if state:
                raise type(error)(
                    f"{error}; {state}; the accelerator was reset, and the next call starts afresh"
                ) from error
            raise

    def _state(self) -> str:
        taken, given, status = (self.registers.read(name) for name in ("FRAMES_IN", "FRAMES_OUT", "STATUS"))
        return f"it took {taken} frames and gave {given}, STATUS is {status:#x}"
