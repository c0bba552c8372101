"""Validation, latency and throughput of an accelerator, as dictionaries that are written as JSON.

On a board times are measured. Of a simulated accelerator all times are its cycles at the clock of the build, and are called so by
``"platform": "sim"``; what the simulating machine takes is told nowhere.
"""

from __future__ import annotations

import time

import numpy as np

from .accelerator import Accelerator
from .errors import DeployError


def description(accelerator: Accelerator) -> dict:
    package = accelerator.package
    return {
        "platform": "sim" if accelerator.platform.simulated else "board",
        "build_id": package.build_id,
        "model": package.model,
        "strategy": package.strategy,
        "voter": package.voter,
        "target": package.target,
        "fclk[mhz]": package.clock_mhz,
    }


def validate(accelerator: Accelerator, count: int) -> dict:
    """Compares every logit of the first ``count`` sample images with the golden ones, and counts right classes."""
    images, labels, golden = (array[:count] for array in accelerator.package.samples())
    if len(images) < count:
        raise DeployError(f"the package has {len(images)} sample images: ask for no more than that, not {count}")
    logits = accelerator.execute(images)
    return {
        **description(accelerator),
        "images": len(images),
        "values": logits.size,
        "mismatches": int((logits != golden).sum()),
        "top1[%]": round(100 * float((logits.argmax(axis=1) == labels).mean()), 2),
    }


def latency(accelerator: Accelerator, repeats: int) -> dict:
    """Single frames, one after the other: minimum, median and 99th percentile.

    ``accelerator[cycles]`` is read from the accelerator's own counter, from the first pixels in to the last logit out. On a board
    ``packing[ms]`` is what copying the image into the buffer takes, and ``transfer[ms]`` what the call takes beside the
    accelerator's cycles: packing is part of neither.
    """
    images = accelerator.package.samples()[0]
    cycles, packing, calls = [], [], []
    for index in range(repeats):
        image = images[index % len(images)][None]
        started = time.perf_counter()
        np.array(image)
        packed = time.perf_counter()
        accelerator.execute(image)
        calls.append(time.perf_counter() - packed)
        packing.append(packed - started)
        cycles.append(accelerator.latency_cycles())
    clock = accelerator.package.clock_mhz * 1e6
    result = {**description(accelerator), "repeats": repeats, "accelerator[cycles]": _spread(cycles)}
    result["accelerator[ms]"] = {name: round(value / clock * 1e3, 6) for name, value in _spread(cycles).items()}
    if not accelerator.platform.simulated:
        transfers = [call - pack - count / clock for call, pack, count in zip(calls, packing, cycles)]
        result["packing[ms]"] = _milliseconds(packing)
        result["transfer[ms]"] = _milliseconds(transfers)
        result["total[ms]"] = _milliseconds(calls)
    return result


def throughput(accelerator: Accelerator, count: int) -> dict:
    """``count`` images in one call, under the field names of FINN's drivers."""
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


def _spread(values: list) -> dict:
    """Of values that are there, none made up by interpolation."""
    ordered = sorted(values)
    return {"min": ordered[0], "median": ordered[len(ordered) // 2], "p99": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]}


def _milliseconds(values: list) -> dict:
    return {name: round(value * 1e3, 6) for name, value in _spread(values).items()}
