"""Validation, latency and throughput of an accelerator, as dictionaries that are written as JSON.

On a board times are measured, and cycles become times by the clock that was read back from it. Of a simulated
accelerator all times are its cycles at the clock of the build, and are called so by ``"platform": "sim"``; what the
simulating machine takes is told nowhere.
"""

from __future__ import annotations

import os
import platform
import time
from typing import TYPE_CHECKING

import numpy as np

from .errors import DeployError
from .package import UNKNOWN, Package
from .scores import classes

if TYPE_CHECKING:
    from .accelerator import Accelerator


def description(accelerator: Accelerator) -> dict:
    """Return the facts of a build that every result begins with."""
    package = accelerator.package
    return {
        "platform": "sim" if accelerator.platform.simulated else "board",
        "build_id": package.build_id,
        "model": package.model,
        "strategy": package.strategy,
        "voter": package.voter,
        "target": package.target,
        "fclk[mhz]": accelerator.platform.clock_mhz,
    }


def validate(accelerator: Accelerator, count: int) -> dict:
    """Compare every logit of the first ``count`` sample images with the golden ones, and count right classes.

    Raises:
        DeployError: the package has no samples, or not so many.
    """
    images, labels, golden = _samples(accelerator.package, count)
    logits = accelerator.execute(images)
    return {
        **description(accelerator),
        "images": len(images),
        "values": logits.size,
        "mismatches": int((logits != golden).sum()),
        "top1[%]": _top1(accelerator.package, logits, labels),
    }


def single_frames(accelerator: Accelerator, repeats: int) -> dict[str, list[float]]:
    """Run single frames, one after the other; return lists of a value a frame.

    ``accelerator[cycles]`` is the accelerator's own counter, from the first pixels in to the last logit out. On a board
    also ``packing[ms]``, copying the image into the buffer; ``total[ms]``, the whole call; and ``transfer[ms]``, the
    rest of it: DMA, caches and Python.

    Raises:
        DeployError: repeats below 1, or a package without samples.
    """
    if repeats < 1:
        raise DeployError(f"repeats is {repeats}: must be 1 or more")
    images = accelerator.package.samples()[0]
    clock = accelerator.platform.clock_mhz * 1e3  # cycles a millisecond
    frames = []
    for index in range(repeats):
        image = images[index % len(images)][None]
        started = time.perf_counter()
        accelerator.execute(image)
        total = 1e3 * (time.perf_counter() - started)
        packing, cycles = 1e3 * accelerator.packing_seconds, accelerator.latency_cycles()
        frames.append((cycles, packing, total - packing - cycles / clock, total))
    names = ["accelerator[cycles]", "packing[ms]", "transfer[ms]", "total[ms]"][
        : 1 if accelerator.platform.simulated else None
    ]
    return {name: list(values) for name, values in zip(names, zip(*frames))}


def latency(accelerator: Accelerator, repeats: int) -> dict:
    """Return minimum, median and 99th percentile of `single_frames`; raise as it does."""
    frames = {name: spread(values) for name, values in single_frames(accelerator, repeats).items()}
    clock = accelerator.platform.clock_mhz * 1e3
    cycles = frames.pop("accelerator[cycles]")
    in_time = {name: round(value / clock, 6) for name, value in cycles.items()}
    return {
        **description(accelerator),
        "repeats": repeats,
        "accelerator[cycles]": cycles,
        "accelerator[ms]": in_time,
        **frames,
    }


def throughput_test(accelerator: Accelerator, count: int) -> dict:
    """Run ``count`` images in one call; return rates under the field names of FINN's drivers.

    Raises:
        DeployError: ``count`` below 1, or a package without samples.
    """
    if count < 1:
        raise DeployError(f"{count} images: must be 1 or more")
    samples = accelerator.package.samples()[0]
    images = np.resize(samples, (count, *samples.shape[1:]))
    accelerator.clear_counters()
    started = accelerator.platform.seconds()
    logits = accelerator.execute(images)
    seconds = accelerator.platform.seconds() - started
    rate = count / seconds
    return {
        **description(accelerator),
        "batch_size": count,
        "runtime[ms]": seconds * 1e3,
        "throughput[images/s]": rate,
        "DRAM_in_bandwidth[MB/s]": images[0].nbytes * rate / 1e6,
        "DRAM_out_bandwidth[MB/s]": logits[0].nbytes * rate / 1e6,
        "interval[cycles]": accelerator.interval_cycles(),
        "layers": {name: vars(counters) for name, counters in accelerator.layers().items()},
    }


def cpu(package: Package, count: int) -> dict:
    """Run the first ``count`` sample images on this machine's processor, in numpy: compare every logit, and time one
    call.

    Raises:
        DeployError: the package has no samples, or not so many.
    """
    images, labels, golden = _samples(package, count)
    network = package.network()
    network.execute(images[:1])  # first uses of numpy's functions
    started = time.perf_counter()
    logits = network.execute(images)
    seconds = time.perf_counter() - started
    return {
        "platform": "cpu",
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "numpy": np.__version__,
        "build_id": package.build_id,
        "images": len(images),
        "mismatches": int((logits != golden).sum()),
        "top1[%]": _top1(package, logits, labels),
        "runtime[ms]": seconds * 1e3,
        "throughput[images/s]": len(images) / seconds,
    }


def _top1(package: Package, logits: np.ndarray, labels: np.ndarray) -> float | None:
    """Return the percentage of right classes; None where the samples came without labels."""
    if (labels == UNKNOWN).any():
        return None
    return round(100 * float((classes(logits, package.tail) == labels).mean()), 2)


def _samples(package: Package, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    samples = package.samples()
    if not 1 <= count <= len(samples[0]):
        raise DeployError(f"the package has {len(samples[0])} sample images: ask for 1 to that many, not {count}")
    images, labels, golden = (array[:count] for array in samples)
    return images, labels, golden


def spread(values: list[float]) -> dict[str, float]:
    """Return percentiles by nearest rank: each is one of ``values``, none is interpolated."""
    ordered = sorted(values)
    ranks = {"min": 1, "median": -(-len(ordered) // 2), "p99": -(-99 * len(ordered) // 100)}
    return {name: round(ordered[rank - 1], 6) for name, rank in ranks.items()}
