"""The command line of scripts/gpu_training."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from brevitas_models.errors import ModelError


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="gpu_training", description="Training on a GPU that is lent for minutes.")
    commands = result.add_subparsers(dest="command", required=True)
    here = Path(__file__).parents[2]
    prepare = commands.add_parser("prepare", help="fill the folder that travels, and print the call of the device tool")
    prepare.add_argument("--folder", type=Path, default=here / ".whl")
    prepare.add_argument("--data", type=Path, default=here / "data", help="the archive of CIFAR-10, or its folder")
    prepare.add_argument("--timeout", type=int, default=600, help="seconds of the call")
    prepare.add_argument("--at-once", type=int, default=2, help="jobs that share the GPU")
    collect = commands.add_parser("collect", help="take in what a call brought back")
    collect.add_argument("returned", type=Path)
    collect.add_argument("--folder", type=Path, default=here / ".whl")
    collect.add_argument("--runs", type=Path, default=here / "runs")
    collect.add_argument("--results", type=Path, default=None)
    collect.add_argument("--queue", type=Path, default=None)
    run = commands.add_parser("run", help="on the device: train the queue until the time is up")
    run.add_argument("--seconds", type=float, required=True)
    run.add_argument("--out", type=Path, default=Path(os.environ.get("OUT") or "out"))
    run.add_argument("--at-once", type=int, default=2)
    run.add_argument("--queue", type=Path, default=None, help="another scripts/gpu/jobs.yaml")
    run.add_argument("--reserve", type=float, default=25.0, help="seconds before the end in which jobs stop")
    run.add_argument("--grace", type=float, default=10.0, help="seconds after the end in which jobs are killed")
    run.add_argument("--least", type=float, default=90.0, help="seconds that a job is begun with")
    job = commands.add_parser("job", help="on the device: train one row")
    job.add_argument("--recipe", required=True)
    job.add_argument("--length", required=True)
    job.add_argument("--until", type=float, required=True, help="time.monotonic() at which to stop")
    for command in (run, job):
        command.add_argument("--folder", type=Path, default=here / ".whl")
        command.add_argument("--work", type=Path, default=Path("/tmp/gpu-training"))
        command.add_argument("--device", default="cuda")
        command.add_argument("--images", type=int, default=None, help="train on so many only: a rehearsal")
        command.add_argument("--no-compile", dest="compile", action="store_false")
    return result


def main(words: list[str] | None = None) -> int:
    options = parser().parse_args(words)
    try:
        return COMMANDS[options.command](options)
    except (ModelError, RuntimeError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


def _prepare(options) -> int:
    from .prepare import prepare

    prepare(options.folder.resolve(), options.data, options.timeout, options.at_once)
    return 0


def _collect(options) -> int:
    from brevitas_models.results import FOLDER

    from .jobs import QUEUE, load_jobs
    from .prepare import collect

    jobs = load_jobs(options.queue or QUEUE)
    collect(options.folder.resolve(), options.returned, options.runs, options.results or FOLDER, jobs)
    return 0


def _run(options) -> int:
    from .device import Session
    from .jobs import QUEUE, Work, load_jobs

    names = "folder", "out", "seconds", "at_once", "device", "compile", "images", "reserve", "grace", "least"
    fields = {name: getattr(options, name) for name in names}
    Session(work=Work(options.work), jobs=load_jobs(options.queue or QUEUE), **fields).run()
    return 0


def _job(options) -> int:
    from .device import train_job
    from .jobs import Job, Work

    job, work = Job(options.recipe, options.length), Work(options.work)
    return train_job(job, options.folder, work, options.device, options.until, options.images, options.compile)


COMMANDS = {"prepare": _prepare, "collect": _collect, "run": _run, "job": _job}
