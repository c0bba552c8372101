"""Images a second of the processor's baseline (deploy.network) beside the golden model and PyTorch, on equal images.

    OMP_NUM_THREADS=1 python benchmarks/cpu_baseline.py --images 32

All three run in turn, in one process, ``--repeat`` times; each counts with its fastest run, as other work on the
machine can only slow a run down. Logits are compared before anything is timed. On the board there is only the first.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from brevitas_models.checkpoint import load_checkpoint
from brevitas_models.config import NetworkConfig
from brevitas_models.data import load_samples
from brevitas_models.evaluate import logits_of
from brevitas_models.zoo import bundled
from deploy.network import Network
from flow.compile import integer_graph
from flow.emit.network_file import write_network
from flow.golden import Golden


def without_bitwise_count(call: Callable) -> Callable:
    """``call`` as it runs with numpy 1, which boards have."""

    def run(images: np.ndarray) -> np.ndarray:
        counter = np.bitwise_count
        del np.bitwise_count
        try:
            return call(images)
        finally:
            np.bitwise_count = counter

    return run


def fastest(calls: dict[str, Callable], images: np.ndarray, repeat: int) -> dict[str, float]:
    """Images a second of each call."""
    seconds = {name: [] for name in calls}
    for _ in range(repeat):
        for name, call in calls.items():
            start = time.perf_counter()
            call(images)
            seconds[name].append(time.perf_counter() - start)
    return {name: len(images) / min(times) for name, times in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    if min(options.images, options.repeat) < 1:
        parser.error(f"--images {options.images} --repeat {options.repeat}: give one or more")

    network, _ = load_checkpoint(bundled(NetworkConfig(model="bireal18", strategy="qat", width=64)))
    samples = load_samples().images
    images = samples[np.arange(options.images) % len(samples)]
    model = integer_graph(network)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.npz"
        write_network(model, path)
        size, baseline = path.stat().st_size, Network(path)

    golden = Golden(model)
    calls = {"deploy.network": baseline.execute}
    if hasattr(np, "bitwise_count"):
        calls["deploy.network, no np.bitwise_count"] = without_bitwise_count(baseline.execute)
    calls["golden model"] = golden.execute
    expected = golden.execute(images[:4])
    for name, call in calls.items():
        if not np.array_equal(call(images[:4]), expected):
            raise SystemExit(f"{name} differs from the golden model: run tests/deploy/test_network.py")
    calls["PyTorch"] = lambda pixels: logits_of(network, pixels)

    rates = fastest(calls, images, options.repeat)
    print(f"bireal18 qat, {len(images)} images, fastest of {options.repeat} runs; network file {size:,} bytes")
    print(
        f"{platform.machine()}, numpy {np.__version__}, torch {torch.__version__} on {torch.get_num_threads()} threads"
    )
    for name, rate in rates.items():
        print(f"{name:36}{rate:9.2f} images/s{rate / rates['PyTorch']:9.2f} x PyTorch")


if __name__ == "__main__":
    main()
