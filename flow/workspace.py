"""The build folder: graphs after every step, projects, plan, logs and reports; files appear whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flow.errors import FlowError, VerificationError
from flow.files import appearing, locked
from flow.record import Record, way_out

if TYPE_CHECKING:
    from onnx import ModelProto
    from qonnx.core.modelwrapper import ModelWrapper

TENSORS = "tensors"  # folder in graphs/, of the constants that graphs share, by their SHA-256
SHARED_BYTES = 1024  # constants of so many bytes are shared


class Workspace:
    """``build/<model>-<strategy>-<target>/`` and the places of the files in it."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.graphs = self.folder / "graphs"
        self.reports = self.folder / "report"
        self.arrays = self.folder / "golden"
        self.hls = self.folder / "hls"
        self.rtl = self.folder / "rtl"
        self.deploy = self.folder / "deploy"
        self.plan = self.folder / "plan.yaml"  # a person may edit it; what the step wrote is in report/
        self.planned = self.reports / "planned.yaml"
        self.written: set[Path] = set()  # since `finish` was called last
        for path in (self.graphs, self.reports, self.arrays):
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise FlowError(
                    f"{self.folder} cannot be a build folder ({path}: {error.strerror}): remove what is in the way, or "
                    "use another --output"
                ) from error
        self.record = Record(self.folder)

    @contextlib.contextmanager
    def locked(self, otherwise: str = "use another --output") -> Iterator[None]:
        """Keep a second build out of the folder; the lock ends with the process, however that ends.

        ``otherwise``: what a user may do where that cannot be, in words.

        Raises:
            FlowError: another build works in it, or it cannot be written.
        """
        with locked(self.folder, "build", otherwise):
            self.record.read()
            yield

    def finish(self, step: str, key: str, seconds: float, left: Iterable[str] = ()) -> None:
        """Put ``step`` into the record, with all files that were written since, and the files and folders ``left``."""
        paths = {path for name in left for path in _files(self.folder / name)} | {
            path for place in self.written for path in _files(place)
        }
        self.written = set()
        self.record.finish(step, key, seconds, paths - {self.plan})

    def check_step(self, step: str) -> None:
        """Raise VerificationError if a file of a finished step, or a constant of its graphs, is not what it left."""
        self.record.check_step(step)
        for name in self.record.steps[step].files if step in self.record.steps else ():
            if name.startswith("graphs/") and name.endswith(".onnx"):
                self.load_graph(Path(name).stem)

    # graphs

    def save_graph(self, model: ModelWrapper, name: str) -> Path:
        """Write ``graphs/<name>.onnx``, and its large constants into graphs/tensors/, once for all graphs that have
        them."""
        from onnx import ModelProto

        proto = ModelProto()
        proto.CopyFrom(model.model)
        for tensor in proto.graph.initializer:
            if len(tensor.raw_data) < SHARED_BYTES:
                continue
            location = self._share(tensor.raw_data)
            tensor.ClearField("raw_data")
            tensor.data_location = tensor.EXTERNAL
            entry = tensor.external_data.add()
            entry.key, entry.value = "location", location
        return self._replace(self.graphs / f"{name}.onnx", proto.SerializeToString(deterministic=True))

    def load_graph(self, name: str) -> ModelWrapper:
        """Return the graph ``graphs/<name>.onnx``.

        Raises:
            FlowError: it, or a constant of it, is missing or damaged.
        """
        import onnx
        from qonnx.core.modelwrapper import ModelWrapper

        path = self.graphs / f"{name}.onnx"
        if not path.exists():
            raise FlowError(f"{path} is missing: build without --from-step first")
        self.record.check(path)
        try:
            proto = onnx.load(str(path), load_external_data=False)
            self._load_shared(proto)
            return ModelWrapper(proto)
        except VerificationError:
            raise
        except Exception as error:
            raise FlowError(f"{path} is damaged ({error}): build without --from-step") from error

    def graph_bytes(self, name: str) -> bytes:
        """Return the content of a graph's file, in which shared constants are named by their SHA-256.

        Raises:
            FlowError: it is missing, or not what its step wrote.
        """
        path = self.graphs / f"{name}.onnx"
        if not path.is_file():
            raise FlowError(f"{path} is missing: build without --from-step first")
        self.record.check(path)
        return path.read_bytes()

    def build_id(self, target: str) -> str:
        """Return 32 hex digits over the planned graph and the name of its target."""
        return hashlib.sha256(self.graph_bytes("hardware") + target.encode()).hexdigest()[:32]

    def forget_unused_tensors(self) -> None:
        """Remove shared constants that no graph has any longer."""
        import onnx

        used = set()
        for path in self.graphs.glob("*.onnx"):
            for tensor in onnx.load(str(path), load_external_data=False).graph.initializer:
                used |= {entry.value for entry in tensor.external_data if entry.key == "location"}
        for path in (self.graphs / TENSORS).glob("*"):
            if f"{TENSORS}/{path.name}" not in used:
                path.unlink()

    def _share(self, data: bytes) -> str:
        location = f"{TENSORS}/{hashlib.sha256(data).hexdigest()[:32]}"
        path = self.graphs / location
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            self._replace(path, data)
            self.written.discard(path)  # its name is its SHA-256
        return location

    def _load_shared(self, proto: ModelProto) -> None:
        for tensor in proto.graph.initializer:
            for entry in tensor.external_data:
                if entry.key != "location":
                    continue
                path = self.graphs / TENSORS / Path(entry.value).name
                data = path.read_bytes() if path.is_file() else b""
                if path.name != hashlib.sha256(data).hexdigest()[:32]:
                    raise VerificationError(
                        f"{path}, the constant {tensor.name} of a graph, is missing or not what was written: build "
                        "with --fresh"
                    )
                tensor.raw_data = data
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")

    def edited_plan(self) -> bytes | None:
        """Return plan.yaml as it is, if it says something else than what step plan wrote; None if not."""
        if not (self.plan.is_file() and self.planned.is_file()):
            return None
        edited, planned = self.plan.read_bytes(), self.planned.read_bytes()
        return edited if edited != planned and _content(edited) != _content(planned) else None

    # other files

    def save_array(self, name: str, array: np.ndarray) -> None:
        """Write ``golden/<name>.npy``."""
        path = self.arrays / f"{name}.npy"
        with appearing(path) as partial, partial.open("wb") as file:
            np.save(file, array, allow_pickle=False)
        self.written.add(path)

    def load_array(self, name: str) -> np.ndarray:
        """Return the array of ``golden/<name>.npy``.

        Raises:
            FlowError: it is missing or damaged.
        """
        path = self.arrays / f"{name}.npy"
        self.record.check(path)
        try:
            return np.load(path, allow_pickle=False)
        except FileNotFoundError:
            raise FlowError(f"{path} is missing: build without --from-step first") from None
        except (OSError, ValueError) as error:
            raise FlowError(f"{path} is damaged ({error}): build without --from-step") from error

    def save_text(self, path: Path, text: str) -> Path:
        """Write a text file."""
        return self._replace(path, text.encode())

    def save_json(self, name: str, content: dict | list) -> Path:
        """Write ``report/<name>.json``."""
        return self.save_text(self.reports / f"{name}.json", json.dumps(content, indent=2) + "\n")

    def require_writable(self, name: str) -> None:
        """Raise FlowError if ``report/<name>`` cannot be written."""
        path = self.reports / name
        if path.is_dir():
            raise FlowError(f"{path} is a folder, and a report is to be written there: remove it")
        if not os.access(self.reports, os.W_OK):
            raise FlowError(f"{self.reports} cannot be written: make it writable, or work on a copy of the build")

    def load_json(self, name: str) -> dict | list:
        """Return the content of ``report/<name>.json``.

        Raises:
            FlowError: it is missing or damaged, or not what its step wrote.
        """
        path = self.reports / f"{name}.json"
        self.record.check(path)
        try:
            return json.loads(path.read_text())
        except FileNotFoundError:
            raise FlowError(f"{path} is missing: build without --from-step first") from None
        except OSError as error:
            raise FlowError(f"{path} cannot be read ({error.strerror}): {way_out(path, 'make it readable')}") from error
        except ValueError as error:
            again = way_out(path, "build without --from-step")
            raise FlowError(f"{path} is damaged ({error}): {again}") from error

    @contextlib.contextmanager
    def fresh(self, folder: Path) -> Iterator[Path]:
        """Yield a folder that is filled under another name and then takes the place of ``folder``."""
        partial = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        if folder.is_symlink() or folder.is_file():
            folder.unlink()  # a link, and not what it leads to
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
        self.written.add(folder)

    def _replace(self, path: Path, content: bytes) -> Path:
        with appearing(path) as partial:
            partial.write_bytes(content)
        self.written.add(path)
        return path


def _content(plan: bytes):
    """Return what a YAML file says, without its comments; the bytes of one that is damaged."""
    import yaml

    try:
        return yaml.safe_load(plan)
    except (yaml.YAMLError, UnicodeDecodeError):
        return plan


def _files(path: Path) -> Iterator[Path]:
    """Yield ``path``, or all files in it."""
    return (file for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())
