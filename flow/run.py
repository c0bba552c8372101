"""Runs the steps of a build in order, and leaves out those that an earlier call finished with the same inputs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from flow.errors import FlowError
from flow.options import Options
from flow.plan.plan import Plan
from flow.plan.target import load_target
from flow.report.summary import put_together
from flow.resume import Progress
from flow.state import Build
from flow.steps import NAMES, STEPS
from flow.workspace import Workspace

BYTES_A_BEAT = 8  # of pixels, on s_axis


def run(
    options: Options,
    first: str | None = None,
    last: str | None = None,
    log: Callable[[str], None] = print,
    fresh: bool = False,
) -> Build:
    """Run the steps ``first``..``last`` (all by default) and return the build.

    Steps that an earlier call finished with the same inputs are not done again, unless ``first`` or ``fresh`` is given.
    ``log`` is called with every line of progress.

    Raises:
        FlowError: a step cannot be done; what earlier steps wrote stays.
    """
    for name in (first, last):
        if name is not None and name not in NAMES:
            raise FlowError(f"step {name!r} is unknown: use one of {', '.join(NAMES)}")
    start, end = NAMES.index(first or NAMES[0]), NAMES.index(last or NAMES[-1])
    if start > end:
        raise FlowError(f"--from-step {first} comes after --to-step {last}")
    if not any(step.is_asked(options) for step in STEPS[start : end + 1]):
        names = " and ".join(f"--{name}" for name in NAMES[start : end + 1])
        raise FlowError(f"--from-step {NAMES[start]} and --to-step {NAMES[end]} leave nothing to do: give {names}")
    for step in STEPS:
        if step.optional and step.is_asked(options) and step not in STEPS[start : end + 1]:
            asked = f"--from-step {NAMES[start]} and --to-step {NAMES[end]}"
            raise FlowError(f"step {step.name} is not between {asked}: leave out --{step.name}")
    _require_inputs(options)
    build = Build(options, Workspace(options.folder), log)
    with build.workspace.locked():
        progress = Progress(build, STEPS)
        skipping = not (first or fresh)
        if not start and not (skipping and progress.is_finished(STEPS[0])):
            _require_rate(build)
        for step in STEPS[start : end + 1]:
            if not step.is_asked(options):
                log(f"{step.name}: not asked for with --{step.name}")
                if fresh:
                    progress.drop(step)
                continue
            skipping = skipping and progress.is_finished(step)
            if skipping:
                log(f"{step.name}: finished before with the same inputs")
                continue
            log(f"{step.name}: {step.what}")
            begin = time.monotonic()
            progress.begin(step)
            try:
                step.run(build)
            except (KeyboardInterrupt, SystemExit):
                log(f"stopped in step {step.name}: the same call goes on there")
                raise
            progress.finish(step, round(time.monotonic() - begin, 2))
        if NAMES[end] == "report":
            build.workspace.save_json("summary", put_together(build.workspace))
    return build


def _require_inputs(options: Options) -> None:
    """Raise FlowError or ModelError if a file that an option names is not what it must be: before an hour of work."""
    load_target(options.target).at(options.clock)
    if options.plan:
        Plan.read(options.plan)
    if options.data:
        from brevitas_models.data import require_cifar

        require_cifar(options.data)


def _require_rate(build: Build) -> None:
    """Raise FlowError if images of the network cannot even be read at the rate that is asked for; looks at what was
    given to calibrate on."""
    height, width, channels = build.image_shape
    most = build.target.clock_mhz * 1e6 / max(1, math.ceil(height * width * channels / BYTES_A_BEAT))
    if build.options.fps > most:
        raise FlowError(
            f"--fps {build.options.fps:g}: images of {height}x{width}x{channels} are read at "
            f"{build.target.clock_mhz:g} MHz {most:,.0f} times a second at most: lower --fps"
        )
    len(build.every_image), build.labels
