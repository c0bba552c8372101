"""The build folder: graphs after every step, projects, plan, logs and reports; files appear whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper

from flow.errors import FlowError


class Workspace:
    """``build/<model>-<strategy>-<target>/`` and what lies where in it."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.graphs = self.folder / "graphs"
        self.reports = self.folder / "report"
        self.hls = self.folder / "hls"
        self.rtl = self.folder / "rtl"
        self.deploy = self.folder / "deploy"
        self.plan = self.folder / "plan.yaml"
        for path in (self.graphs, self.reports):
            path.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second build out of the folder; the lock goes with the process, however it ends."""
        with (self.folder / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise FlowError(f"another build works in {self.folder}: wait for it, or use another --output") from None
            yield

    def save_graph(self, model: ModelWrapper, name: str) -> Path:
        path = self.graphs / f"{name}.onnx"
        partial = path.with_suffix(".part")
        model.save(str(partial))
        os.replace(partial, path)
        return path

    def load_graph(self, name: str) -> ModelWrapper:
        path = self.graphs / f"{name}.onnx"
        if not path.exists():
            raise FlowError(f"{path} is missing: build without --from-step first")
        try:
            return ModelWrapper(str(path))
        except Exception as error:
            raise FlowError(f"{path} is damaged ({error}): build without --from-step") from error

    def save_text(self, path: Path, text: str) -> Path:
        partial = path.with_name(f"{path.name}.part")
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
        return path

    def save_json(self, name: str, content: dict | list) -> Path:
        return self.save_text(self.reports / f"{name}.json", json.dumps(content, indent=2) + "\n")

    def load_json(self, name: str) -> dict | list:
        path = self.reports / f"{name}.json"
        try:
            return json.loads(path.read_text())
        except FileNotFoundError:
            raise FlowError(f"{path} is missing: build without --from-step first") from None
        except json.JSONDecodeError as error:
            raise FlowError(f"{path} is damaged ({error}): build without --from-step") from error

    @contextlib.contextmanager
    def fresh(self, folder: Path) -> Iterator[Path]:
        """A folder that is filled under another name and then takes its place."""
        partial = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
