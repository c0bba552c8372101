"""Lists the nodes of a QONNX graph and the hardware nodes that the passes make of them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from flow.analysis import Scaled, scaled_tensors
from flow.compile import cleaned
from flow.errors import FlowError, reason_of
from flow.memory import require_memory
from flow.normalise import normalise, read_file
from flow.onnx_file import require_quantizers, settle_shapes
from flow.passes import REAL_PASSES, run_pass
from flow.passes.finish import is_constant, refusals
from flow.passes.grid import grid_of
from flow.passes.rewrite import ORIGINS, read_notes

Track = Callable[[Iterable], Iterable]
NOISE_IMAGES = 4  # calibrated on
FLOAT32_COPIES = 20  # bytes of an element while a graph is executed: itself, and at least four times in float32


@dataclass(frozen=True)
class Row:
    """A node: ``precision`` of its output, ``operations`` (multiply-accumulates a frame), and what it ``becomes``."""

    name: str
    kind: str
    precision: str
    shape: str
    operations: int
    becomes: str


@dataclass(frozen=True)
class Inspection:
    """The contents of a QONNX file: ``rows`` of its nodes; name, type, shape, reason and way out of the ``refused``."""

    rows: list[Row]
    refused: list[dict[str, str]]

    @property
    def builds(self) -> bool:
        """Whether every node has hardware."""
        return not self.refused

    @property
    def operations(self) -> int:
        """Multiply-accumulates a frame."""
        return sum(row.operations for row in self.rows)


def inspect_file(path: Path, pixels: tuple[float, float], bits: int | None, track: Track = iter) -> Inspection:
    """Inspect a QONNX file as ``flow build --onnx`` would take it. ``track`` goes over the passes, to show progress.

    Raises:
        FlowError: it is missing, or no QONNX file that can be read.
    """
    return Inspection(*inspect_graph(as_built(load_foreign(path), *pixels, bits), track))


def load_foreign(path: Path) -> ModelWrapper:
    """Return the graph of anyone's QONNX file, with constants folded, shapes inferred and nodes named.

    Raises:
        FlowError: it cannot be read, or a shape cannot be inferred.
    """
    try:
        model = cleaned(read_file(path))
    except (FlowError, MemoryError):
        raise
    except Exception as error:  # onnx, onnxruntime and qonnx raise a dozen kinds
        raise FlowError(
            f"{path} cannot be used: its constants or shapes cannot be computed ({reason_of(error)}); "
            "export it again with fixed input sizes"
        ) from error
    _drop_unread_inputs(model)
    require_quantizers(path, model)
    unknown = [node.name for node in model.graph.node if model.get_tensor_shape(node.output[0]) is None]
    if unknown:
        raise FlowError(f"{path}: the shape behind {unknown[0]} cannot be inferred: export with fixed input sizes")
    settle_shapes(path, model)
    _flatten(model)
    return normalise(model)


def _flatten(model: ModelWrapper) -> None:
    """Let each Reshape take any number of images: one to a row becomes Flatten, others keep the first axis."""
    for index, node in enumerate(list(model.graph.node)):
        if node.op_type != "Reshape":
            continue
        before, after = (model.get_tensor_shape(name) for name in (node.input[0], node.output[0]))
        if len(after) == 2 and before[0] == after[0]:
            flatten = helper.make_node("Flatten", [node.input[0]], [node.output[0]], name=node.name, axis=1)
            model.graph.node.remove(node)
            model.graph.node.insert(index, flatten)
        elif before[:1] == after[:1] == [1] and model.get_initializer(node.input[1]) is not None:
            node.input[1] = model.make_new_valueinfo_name()
            model.set_initializer(node.input[1], np.array([0, *after[1:]], np.int64))


def _drop_unread_inputs(model: ModelWrapper) -> None:
    """Remove inputs that no node reads, and weights, which some exporters list as inputs too."""
    read = {name for node in model.graph.node for name in node.input}
    for info in list(model.graph.input):
        if info.name not in read or model.get_initializer(info.name) is not None:
            model.graph.input.remove(info)


def as_built(model: ModelWrapper, low: float, high: float, bits: int | None) -> ModelWrapper:
    """Return ``model`` as ``flow build --onnx`` takes it (see ``flow.foreign.prepare``).

    It is calibrated on noise: the hardware of its nodes does not depend on the images.
    """
    from flow.foreign import image_shape, prepare

    shape = (NOISE_IMAGES, *image_shape(model))
    require_memory(FLOAT32_COPIES * math.prod(shape), "images of its input's size", "export it for smaller images")
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return prepare(model, images, low, high, bits)[0]


def inspect_graph(model: ModelWrapper, track: Track = iter) -> tuple[list[Row], list[dict[str, str]]]:
    """Return the rows of all nodes that compute, and those without hardware (see ``flow.passes.finish.refusals``)."""
    compiled = copy.deepcopy(model)
    for rewrite in track(REAL_PASSES):
        compiled = run_pass(compiled, rewrite)
    origins, refused = read_notes(compiled, ORIGINS), refusals(compiled)
    blamed = {row["name"] for row in refused}
    rows, scaled = [], scaled_tensors(model, (0.0, 255.0))
    for node in model.graph.node:
        if is_constant(model, node):
            continue
        becomes = origins.get(node.name) or ("nothing" if node.name in blamed else "")
        shape = "x".join(map(str, model.get_tensor_shape(node.output[0])))
        rows.append(
            Row(node.name, node.op_type, _precision(model, node, scaled), shape, _operations(model, node), becomes)
        )
    return rows, refused


def _precision(model: ModelWrapper, node: NodeProto, scaled: dict[str, Scaled]) -> str:
    """Return the grid of the node's output, or the interval of its integers and their scale; "real" if it has none."""
    try:
        grid = grid_of(model, node.output[0])
    except ValueError:
        grid = None
    if grid is None:
        return str(scaled.get(node.output[0], "real"))
    if grid.bipolar:
        return "1 bit"
    return f"{'int' if grid.low < 0 else 'uint'}{grid.bits - (grid.low >= 0)} x {grid.scale:g}"


def _operations(model: ModelWrapper, node: NodeProto) -> int:
    if node.op_type not in ("Conv", "Gemm", "MatMul", "GroupVote"):
        return 0
    weight, output = (model.get_tensor_shape(name) for name in (node.input[1], node.output[0]))
    pixels = int(np.prod(output[2:]))
    if node.op_type in ("Conv", "GroupVote"):
        return pixels * int(np.prod(weight))
    return int(np.prod(weight))
