"""Tells which steps of a build need not be done again: those whose inputs are the same as when they were finished."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

from flow import nodes
from flow.library import hls_folder, licences, rtl_folder
from flow.state import Build
from flow.steps import Step

KINDS = (".py", ".sv", ".hpp", ".h", ".cpp", ".j2", ".yaml", ".npz", ".ipynb")  # of files that a build runs or copies


@functools.cache
def sources_digest() -> str:
    """Return SHA-256 over all code and templates that a build runs or copies, those of nodes in other folders too."""
    import brevitas_models
    import deploy
    import flow

    packages = [Path(package.__file__).parent for package in (flow, brevitas_models, deploy)]
    digest = hashlib.sha256()
    for folder in (*packages, rtl_folder(), hls_folder(), *nodes.folders()):
        for path in sorted(path for path in folder.rglob("*") if path.suffix in KINDS):
            digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    for content in licences().values():
        digest.update(content)
    return digest.hexdigest()


def keys(build: Build, steps: tuple[Step, ...]) -> dict[str, str]:
    """Return a digest for every step of all that it depends on: code, earlier steps, its options, and the files that
    they name."""
    found, key = {}, sources_digest()
    for step in steps:
        options = {name: getattr(build.options, name) for name in step.options}
        if "checkpoint" in options and not build.options.onnx:
            options["checkpoint"] = build.checkpoint
        if step.name == "plan" and options["plan"] is None and (edited := build.workspace.edited_plan()) is not None:
            options["plan"] = hashlib.sha256(edited).hexdigest()
        content = json.dumps([key, step.name, {name: _value(value) for name, value in options.items()}])
        found[step.name] = hashlib.sha256(content.encode()).hexdigest()
        if not step.optional:  # later steps take it as it is, there or not
            key = found[step.name]
    return found


def _value(option):
    """Return an option's part of the digest: of a file its content, of a folder (of data) its name."""
    if isinstance(option, Path):
        return hashlib.sha256(option.read_bytes()).hexdigest() if option.is_file() else str(option.resolve())
    return option


class Progress:
    """Which of ``steps`` are finished in the build's folder, with the inputs that they have now."""

    def __init__(self, build: Build, steps: tuple[Step, ...]):
        self.build, self.steps, self.keys = build, steps, keys(build, steps)
        self.workspace, self.record = build.workspace, build.workspace.record

    def is_finished(self, step) -> bool:
        """Return whether the step was finished with the same inputs, and its files are there.

        Raises:
            VerificationError: they are there, and one is not what the step left.
        """
        there = all((self.workspace.folder / name).exists() for name in step.leaves)
        entry = self.record.steps.get(step.name)
        if not there or entry is None or entry.key != self.keys[step.name] or not self.record.has_files(step.name):
            return False
        step.check(self.workspace)  # names layers
        self.workspace.check_step(step.name)
        return True

    def begin(self, step) -> None:
        """Forget the step, and those after an optional one: their keys do not depend on its results."""
        names = list(self.keys)
        index = names.index(step.name)
        self.record.forget(names[index:] if step.optional else [step.name])

    def drop(self, step) -> None:
        """Remove what an earlier call left of an optional step."""
        left = [path for name in step.leaves if (path := self.workspace.folder / name).is_file()]
        if left or step.name in self.record.steps:
            self.begin(step)
        for path in left:
            path.unlink()
            self.build.log(f"{step.name}: {path}, of an earlier build, is removed (--fresh)")

    def finish(self, step, seconds: float) -> None:
        """Store that the step is finished, and what it left."""
        if step.name == "plan":
            self.keys = keys(self.build, self.steps)  # it took an edited plan.yaml, or replaced it
        self.workspace.finish(step.name, self.keys[step.name], seconds, step.leaves)
