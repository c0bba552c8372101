"""The main job as ordered, named steps: from a checkpoint to a verified accelerator."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from flow.errors import FlowError, VerificationError
from flow.plan.target import Target, load_target
from flow.workspace import Workspace


@dataclass(frozen=True)
class Options:
    """What ``flow build`` was asked for. Counts are images; ``layer_images`` are compared on every stream.

    ``onnx``: anyone's QONNX file instead of a checkpoint; ``pixels``: what its input is for pixels 0 and 255; ``stream_bits``:
    fixed-point width of its real tensors. ``bitfile``: its route, "rtl" or "hls"; None makes no bitfile.
    """

    model: str
    strategy: str
    target: str
    width: int | None = None
    voter: str | None = None
    shortcut: str | None = None
    padding: str | None = None
    onnx: Path | None = None
    pixels: tuple[float, float] = (0.0, 255.0)
    stream_bits: int = 12
    checkpoint: Path | None = None
    plan: Path | None = None
    fps: float = 300.0
    data: Path | None = None
    output: Path | None = None
    bitfile: str | None = None
    pass_images: int = 4
    golden_images: int = 256
    csim_images: int = 64
    rtl_images: int = 4
    layer_images: int = 2
    accuracy_images: int = 512

    @property
    def folder(self) -> Path:
        return self.output or Path("build") / f"{self.model}-{self.strategy}-{self.target}"


@dataclass
class Comparison:
    """One line of ``verification``: how many values of ``stage`` were compared and how many differ."""

    stage: str
    against: str
    what: str
    images: int
    values: int
    mismatches: int

    def as_dict(self) -> dict:
        return self.__dict__


@dataclass
class Build:
    """State of one run: options, folder and what the finished steps have reported."""

    options: Options
    workspace: Workspace
    say: Callable[[str], None] = print
    seconds: dict[str, float] = field(default_factory=dict)

    @cached_property
    def target(self) -> Target:
        return load_target(self.options.target)

    @cached_property
    def network(self):
        """(PyTorch network, metadata) of the checkpoint, with the strategy and the voter that were asked for."""
        from brevitas_models.checkpoint import load_checkpoint
        from brevitas_models.networks import converted

        options, path = self.options, self.checkpoint
        network, metadata = load_checkpoint(path)
        found = metadata.network
        wanted = {"model": options.model, "strategy": options.strategy}
        wanted |= {
            key: value for key in ("width", "shortcut", "padding") if (value := getattr(options, key)) is not None
        }
        changes = {"strategy": "ptq"} if (found.strategy, options.strategy) == ("none", "ptq") else {}
        for key, value in wanted.items():
            if key not in changes and getattr(found, key) != value:
                raise FlowError(
                    f"{path} holds a network with {key} {getattr(found, key)}, not {value}: give another --checkpoint"
                )
        if options.voter and options.voter != found.voter:
            changes["voter"] = options.voter
        return (converted(network, **changes) if changes else network), metadata

    @cached_property
    def checkpoint(self) -> Path:
        """The one that was given, or the bundled one.

        Votes that were not trained start from the network with popcounts; a voter that was not trained from the exact one.
        """
        from brevitas_models.config import FULL_WIDTH, NetworkConfig
        from brevitas_models.zoo import FOLDER, bundled, checkpoint_name

        options = self.options
        if options.checkpoint:
            return options.checkpoint
        wanted = {
            "model": options.model,
            "strategy": "none" if options.strategy == "ptq" else options.strategy,
            "width": options.width or FULL_WIDTH[options.model],
            "shortcut": options.shortcut or "conv8",
            "padding": options.padding or "minus_one",
        }
        if options.voter and options.strategy != "ptq":
            trained = NetworkConfig(**wanted, voter=options.voter)
            if (FOLDER / f"{checkpoint_name(trained)}.popbin").is_file():
                return bundled(trained)
        return bundled(NetworkConfig(**wanted))

    @cached_property
    def samples(self):
        from brevitas_models.data import load_samples

        return load_samples()

    def images(self, count: int) -> np.ndarray:
        """The first ``count`` packaged images, uint8 [count, 32, 32, 3]; random ones for a network of another input size."""
        if self.image_shape != self.samples.images.shape[1:]:
            return np.random.default_rng(0).integers(0, 256, (count, *self.image_shape), np.uint8)
        if count > len(self.samples):
            raise FlowError(f"{count} images asked for, {len(self.samples)} are packaged: ask for fewer")
        return self.samples.images[:count]

    @cached_property
    def foreign(self) -> ModelWrapper:
        """The graph of the QONNX file."""
        from flow.inspect import load_foreign

        return load_foreign(self.options.onnx)

    @cached_property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of an image."""
        from flow.foreign import image_shape

        return image_shape(self.foreign) if self.options.onnx else self.samples.images.shape[1:]

    def graph(self, name: str) -> ModelWrapper:
        return self.workspace.load_graph(name)

    def report(self, step: str, content: dict) -> None:
        """Stores what a finished step found; ``summary.json`` is put together from these."""
        self.workspace.save_json(step, content)

    def store(self, comparisons: list[Comparison], step: str) -> None:
        """Stores and shows comparisons."""
        self.report(step, {**self._previous(step), "verification": [c.as_dict() for c in comparisons]})
        for c in comparisons:
            self.say(
                f"{c.stage} and {c.against}: {c.what} of {c.images} images, {c.values} values, {c.mismatches} mismatches"
            )

    def require_equal(self, comparisons: list[Comparison], step: str, first: str | None = None) -> None:
        """Stores the comparisons and stops the build if one of them has a mismatch."""
        self.store(comparisons, step)
        for c in comparisons:
            if c.mismatches or not c.values:
                where = f"; the first tensor that differs is {first}" if first else ""
                raise VerificationError(
                    f"{c.stage} differs from {c.against} in {c.mismatches} of {c.values} {c.what}{where}"
                )

    def _previous(self, step: str) -> dict:
        path = self.workspace.reports / f"{step}.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def build_id(self) -> str:
        """32 hex digits over the planned graph and the target."""
        content = (self.workspace.graphs / "hardware.onnx").read_bytes() + self.options.target.encode()
        return hashlib.sha256(content).hexdigest()[:32]


def run(
    options: Options,
    first: str | None = None,
    last: str | None = None,
    say: Callable[[str], None] = print,
    fresh: bool = False,
) -> Build:
    """Runs the steps ``first``..``last`` (all by default) and returns the build.

    Steps that an earlier call finished with the same inputs are not done again, unless the call says with which to start,
    or ``fresh``.

    Raises:
        FlowError: a step cannot be done; what earlier steps wrote stays.
    """
    from flow.resume import Progress
    from flow.steps import NAMES, STEPS

    for name in (first, last):
        if name is not None and name not in NAMES:
            raise FlowError(f"step {name!r} is unknown: use one of {', '.join(NAMES)}")
    start, end = NAMES.index(first or NAMES[0]), NAMES.index(last or NAMES[-1])
    if start > end:
        raise FlowError(f"--from-step {first} comes after --to-step {last}")
    if options.bitfile and not start <= NAMES.index("bitfile") <= end:
        asked = f"--from-step {NAMES[start]} and --to-step {NAMES[end]}"
        raise FlowError(f"step bitfile is not between {asked}: leave out --bitfile")
    load_target(options.target)
    build = Build(options, Workspace(options.folder), say)
    with build.workspace.locked():
        progress = Progress(build)
        build.seconds = _stored_seconds(build.workspace)
        skipping = not (first or fresh)
        for step in STEPS[start : end + 1]:
            if not step.is_asked(options):
                say(f"{step.name}: not asked for with --{step.name}")
                continue
            skipping = skipping and progress.is_finished(step)
            if skipping:
                step.check(build.workspace)
                say(f"{step.name}: finished before with the same inputs")
                continue
            say(f"{step.name}: {step.run.__doc__.splitlines()[0]}")
            begin = time.monotonic()
            progress.begin(step)
            try:
                step.run(build)
            except KeyboardInterrupt:
                say(f"stopped in step {step.name}: the same call goes on there")
                raise
            build.seconds[step.name] = round(time.monotonic() - begin, 2)
            build.workspace.save_json("seconds", build.seconds)
            progress.finish(step)
    return build


def _stored_seconds(workspace: Workspace) -> dict[str, float]:
    path = workspace.reports / "seconds.json"
    return json.loads(path.read_text()) if path.exists() else {}
