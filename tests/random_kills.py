"""Kills builds and trainings at random moments (SIGKILL), calls them again, and compares what comes out.

    python -m tests.random_kills --kills 50 --data ../shared/data/cifar10

Caches are cold: each kill has its own, so that compilers are killed too (``--warm`` takes the user's). Half of
the kills hit a build at width 4, half a short training at width 16 (``--jobs`` takes one of them). Prints a line a kill
and the counts; exits with 1 if a result differs, a call after a kill fails, or something half-written is left under a
final name.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from brevitas_models.checkpoint import Metadata, load_checkpoint, save_checkpoint
from brevitas_models.config import NetworkConfig
from brevitas_models.networks import build_network
from flow.project import check_project

TIMES = ("seconds",)  # what may differ between two runs


@dataclass(frozen=True)
class Job:
    """A command that works in a folder, and its result, which must not depend on kills."""

    name: str
    command: Callable[[Path], list[str]]
    result: Callable[[Path], object]


def flow(*words) -> list[str]:
    return [sys.executable, "-c", "from flow.cli import main; main()", *map(str, words)]


def build_job(checkpoint: Path) -> Job:
    def command(folder):
        return flow("build", "--checkpoint", checkpoint, "--width", 4, "--output", folder / "build")

    def result(folder):
        build = folder / "build"
        check_project(build / "hls"), check_project(build / "rtl")
        summary = json.loads((build / "report" / "summary.json").read_text())
        return {key: value for key, value in summary.items() if key not in TIMES}

    return Job("build", command, result)


def train_job(data: Path) -> Job:
    def command(folder):
        return flow(
            "train",
            "--width",
            16,
            "--epochs",
            1,
            "--batch",
            1000,
            "--resolutions",
            "0:16",
            "--no-compile",
            "--save-seconds",
            2,
            "--data",
            data,
            "--output",
            folder / "run",
        )

    def result(folder):
        _, metadata = load_checkpoint(folder / "run" / "checkpoint.popbin")
        history = [json.loads(line) for line in (folder / "run" / "history.jsonl").read_text().splitlines()]
        return (
            metadata.weights_sha256,
            metadata.accuracy,
            [{k: v for k, v in line.items() if k not in TIMES} for line in history],
        )

    return Job("train", command, result)


def environment(folder: Path, cold: bool) -> dict[str, str]:
    """Return the environment of a job, with caches of its own if they are to be cold."""
    return {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")} if cold else dict(os.environ)


def finish(job: Job, folder: Path, cold: bool) -> float:
    """Runs the job to its end; returns the seconds it took.

    Raises:
        RuntimeError: it failed.
    """
    started = time.monotonic()
    run = subprocess.run(job.command(folder), capture_output=True, text=True, env=environment(folder, cold))
    if run.returncode:
        raise RuntimeError(f"{job.name} ended with {run.returncode}: {run.stderr[-500:]}")
    return time.monotonic() - started


def kill_at(job: Job, folder: Path, seconds: float, cold: bool) -> bool:
    """Starts the job and kills it and its children after ``seconds``; False if it was finished by then."""
    process = subprocess.Popen(
        job.command(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment(folder, cold),
    )
    try:
        process.wait(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


def one_kill(job: Job, reference, duration: float, rng: random.Random, cold: bool) -> str:
    """What came of one kill: "equal", "finished first" or what is wrong."""
    moment = rng.uniform(0.0, duration)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        killed = kill_at(job, folder, moment, cold)
        try:
            finish(job, folder, cold)
        except RuntimeError as error:
            return str(error)
        if job.result(folder) != reference:
            return f"DIFFERS after a kill at {moment:.1f} s"
        left = [path.name for pattern in ("*.part", "building-*") for path in folder.rglob(pattern)]
        if left:
            return f"left {', '.join(left)}"
    return "equal" if killed else "finished first"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--data", type=Path, help="CIFAR-10, for the trainings")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--jobs", nargs="+", choices=("build", "train"), default=("build", "train"), help="which are killed; both"
    )
    parser.add_argument("--warm", action="store_true", help="with the caches of the user, filled")
    arguments = parser.parse_args()
    if arguments.data is None and "train" in arguments.jobs:
        parser.error("trainings need --data")
    cold = not arguments.warm
    rng, outcomes = random.Random(arguments.seed), []
    with tempfile.TemporaryDirectory() as name:
        checkpoint = Path(name) / "small.popbin"
        torch.manual_seed(0)
        network = build_network(NetworkConfig(width=4)).eval()
        metadata = Metadata(
            network=network.config, data="none", command="none", epochs=0, epochs_planned=1, seed=0, seconds=0
        )
        save_checkpoint(checkpoint, network, metadata)
        jobs = {"build": build_job(checkpoint), "train": train_job(arguments.data)}
        for job in (jobs[name] for name in arguments.jobs):
            folder = Path(name) / job.name
            folder.mkdir()
            finish(job, folder, cold)
            reference = job.result(folder)
            again = Path(name) / f"{job.name}-again"  # how long it takes, with the caches that kills find
            again.mkdir()
            duration = finish(job, again, cold)
            assert job.result(again) == reference, f"two runs of {job.name} without a kill differ"
            count = 0
            while count < arguments.kills // len(arguments.jobs):
                outcome = one_kill(job, reference, duration, rng, cold)
                print(f"{job.name} {count + 1:3}: {outcome}", flush=True)
                outcomes += [outcome] * (outcome != "finished first")
                count += outcome != "finished first"
    equal = outcomes.count("equal")
    print(f"{len(outcomes)} kills, {equal} equal results")
    return int(equal < len(outcomes))


if __name__ == "__main__":
    sys.exit(main())
