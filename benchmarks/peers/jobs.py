"""The networks of the comparison: files of other people, Brevitas' bnn_pynq and the bundled ones; and a folder of each.

A folder holds network.onnx; frames.npy, uint8, as a person gives images to this flow; pixels.npy, their bytes, and
inputs.npy, the values that these stand for, both of the file's type as [N, *shape of its input]; reference.npy,
float64 [N, elements], what onnxruntime gives of them, or qonnx where nodes are of other domains (this flow's execution
of the file as it is, where qonnx cannot); and job.json: how it
is to be built.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from flow.foreign import sample_images
from flow.options import Options
from flow.reference import file_outputs

COUNT = 8  # frames on which outputs are compared
CALIBRATION = Options.model_fields["golden_images"].default  # packaged images before them, which this flow looks at
BOARD = {"target": "pynq-z2", "board": "Pynq-Z2", "clock_mhz": 100.0, "fps": 20}  # board: FINN's name of the target
STANDARD = ("", "ai.onnx")
BNN_PYNQ = "bnn_pynq"
BUNDLED = ("bireal18-qat", "reactnet18-qat-w16", "reactnet18-none-w16", "bnn_cifar10-none-w16")
STEP = "bireal18-qat, export step"  # the graph that is left by this step of a build


@dataclass(frozen=True)
class Job:
    """A network: its ``name``, the ``group`` of the table, what its input is for pixels 0 and 255 as "low,high" or
    "bits" for -1 and 1, and ``write``, which puts the file at a path."""

    name: str
    group: str
    pixels: str
    write: Callable[[Path], object]

    @property
    def stem(self) -> str:
        """The name as that of a folder."""
        return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in self.name)


def all_jobs(cases: Path) -> list[Job]:
    """Return every network; ``cases`` is the folder of the files of other people."""
    return [*_cases(cases), *_bnn_pynq(), *_bundled()]


def _cases(folder: Path) -> list[Job]:
    listed = json.loads((folder / "cases.json").read_text(encoding="utf-8"))
    return [
        Job(case["name"], "cases", case["pixels"], lambda path, name=case["name"]: _copy(folder / f"{name}.onnx", path))
        for case in listed
    ]


def _copy(source: Path, path: Path) -> None:
    shutil.copyfile(source, path)


def _bnn_pynq() -> list[Job]:
    from tests.compiler.bnn_pynq import BITS, NAMES, PIXELS, write_network

    pixels = ",".join(f"{value:g}" for value in PIXELS)
    return [
        Job(f"{name} {bits}", BNN_PYNQ, pixels, lambda path, name=name, bits=bits: write_network(name, bits, path))
        for name in NAMES
        for bits in BITS
    ]


def _bundled() -> list[Job]:
    from brevitas_models import zoo
    from brevitas_models.checkpoint import load_checkpoint
    from brevitas_models.export import export
    from flow.compile import load_export

    def write(stem: str, path: Path) -> None:
        export(load_checkpoint(zoo.FOLDER / f"{stem}.popbin")[0], path)

    def write_step(path: Path) -> None:
        write(BUNDLED[0], path)
        load_export(path).save(str(path))

    jobs = [Job(stem, "bundled", "0,255", lambda path, stem=stem: write(stem, path)) for stem in BUNDLED]
    return [*jobs, Job(STEP, "bundled", "0,255", write_step)]


def prepare(job: Job, folder: Path) -> dict:
    """Fill the folder of a job and return the content of its job.json; does nothing where the network is the same."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh, path = folder / "fresh.onnx", folder / "network.onnx"
    job.write(fresh)
    proto = onnx.load(fresh)
    content = {
        "name": job.name,
        "group": job.group,
        "pixels": job.pixels,
        "sha256": hashlib.sha256(fresh.read_bytes()).hexdigest(),
        "residual": adds_streams(proto),
        "count": COUNT,
        **BOARD,
    }
    description = folder / "job.json"
    text = json.dumps(content, indent=1) + "\n"
    if description.exists() and description.read_text(encoding="utf-8") == text:
        fresh.unlink()
        return content
    shutil.rmtree(folder / "flow", ignore_errors=True)
    for old in (*folder.glob("*.json"), *folder.glob("*.npy")):
        old.unlink()
    fresh.replace(path)
    shape, kind = input_of(proto)
    frames = frames_for(shape, job.pixels)
    values = as_input(frames, shape)
    low, high = ends(job.pixels)
    inputs = (values.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)).astype(kind)
    for name, array in (("frames", frames), ("pixels", values.astype(kind)), ("inputs", inputs)):
        np.save(folder / f"{name}.npy", array)
    np.save(folder / "reference.npy", reference(path, proto, frames, inputs, job.pixels))
    description.write_text(text, encoding="utf-8")
    return content


def ends(pixels: str) -> tuple[float, float]:
    """Return what the network's input is for pixels 0 and 255."""
    if pixels == "bits":
        return -1.0, 1.0
    low, high = map(float, pixels.split(","))
    return low, high


def adds_streams(proto: onnx.ModelProto) -> bool:
    """Return whether a node adds two tensors of which neither is a constant."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    for node in proto.graph.node:  # in topological order
        if (node.input and all(name in constants for name in node.input)) or node.op_type == "Constant":
            constants.update(node.output)
    return any(node.op_type == "Add" and not constants & set(node.input) for node in proto.graph.node)


def input_of(proto: onnx.ModelProto) -> tuple[list[int], np.dtype]:
    """Return the shape, unknown sizes as 1, and the type of the network's first input."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    tensor = next(info for info in proto.graph.input if info.name not in constants).type.tensor_type
    return [size.dim_value or 1 for size in tensor.shape.dim], onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)


def frames_for(shape: list[int], pixels: str) -> np.ndarray:
    """Return COUNT frames, uint8 [N, H, W, C] of maps and [N, elements] of others: packaged images, resized, that no
    calibration has seen; random bits where the inputs are bits."""
    if pixels == "bits" or len(shape) != 4:
        frames = np.random.default_rng(7).integers(0, 256, (COUNT, *shape[1:]), np.uint8)
        return np.where(frames > 127, np.uint8(255), np.uint8(0)) if pixels == "bits" else frames
    size = tuple(shape[1:]) if channels_last(shape) else (*shape[2:], shape[1])
    return sample_images(size, CALIBRATION + COUNT)[CALIBRATION:]


def channels_last(shape: list[int]) -> bool:
    """Return whether a shape is that of images [1, H, W, C]."""
    return len(shape) == 4 and shape[3] in (1, 3) and shape[1] not in (1, 3)


def as_input(frames: np.ndarray, shape: list[int]) -> np.ndarray:
    """Return frames in the shape of the network's input, [N, *shape]."""
    if len(shape) == 4 and not channels_last(shape):
        frames = frames.transpose(0, 3, 1, 2)
    return frames.reshape(len(frames), *shape)


def reference(path: Path, proto: onnx.ModelProto, frames: np.ndarray, inputs: np.ndarray, pixels: str) -> np.ndarray:
    """Return all outputs of the file, one after the other, float64 [N, elements]."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    entry = next(info.name for info in proto.graph.input if info.name not in constants)
    try:
        execute = _executor(path, proto)
        results = [execute({entry: image}) for image in inputs]
    except Exception:  # float16 or any batch, of which qonnx makes no single nodes
        return file_outputs(path, frames, *ends(pixels))
    return np.array([np.concatenate([np.asarray(part, np.float64).ravel() for part in parts]) for parts in results])


def _executor(path: Path, proto: onnx.ModelProto) -> Callable[[dict[str, np.ndarray]], list]:
    if all(node.domain in STANDARD for node in proto.graph.node):
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return lambda given: session.run(None, given)
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    model = ModelWrapper(str(path)).transform(InferShapes())
    names = [info.name for info in model.graph.output]
    return lambda given: [execute_onnx(model, given)[name] for name in names]
