"""The answers of a network's own file, to which those of the integers are held."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from flow.compile import cleaned
from flow.errors import FlowError
from flow.execute import Execution
from flow.normalise import read_file

DISCRETE = (
    "ArgMax",
    "ArgMin",
    "Hardmax",
    "BipolarQuant",
    "Quant",
    "Floor",
    "Ceil",
    "Round",
)  # ends of a network whose outputs are no measure of closeness


def file_outputs(path: Path, images: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the outputs float64 [N, elements] of an ONNX file for images uint8 [N, H, W, C], whose 0 and 255 are
    ``low`` and ``high``: of the file as it is, before anything is rewritten.

    Raises:
        FlowError: its outputs are NaN or infinite.
    """
    model = cleaned(read_file(path))
    read = {name for node in model.graph.node for name in node.input}
    inputs = [info for info in model.graph.input if info.name in read and model.get_initializer(info.name) is None]
    (entry,) = inputs  # flow.inspection has looked
    execution, outputs = Execution(model), []
    for image in images:
        values = _as_input(image.astype(np.float32) * np.float32((high - low) / 255.0) + np.float32(low), model, entry)
        (result,) = execution.run({entry.name: values}).values()
        outputs.append(np.asarray(result, np.float64).ravel())
    found = np.array(outputs)
    if not np.isfinite(found).all():
        raise FlowError(
            f"{path}: its outputs are NaN or infinite on {int((~np.isfinite(found)).any(axis=1).sum())} images"
        )
    return found


def _as_input(image: np.ndarray, model: ModelWrapper, entry) -> np.ndarray:
    """Return a frame [H, W, C] in the shape of the file's input: its channels first, unless that has them last."""
    shape = model.get_tensor_shape(entry.name)
    if tuple(shape[1:]) != image.shape or len(shape) != 4:
        image = image.transpose(2, 0, 1)
    return image.reshape(shape)


def is_discrete(steps: list[dict]) -> bool:
    """Return whether the outputs behind these steps (see deploy.scores) are indices or levels."""
    return any(step["kind"] in DISCRETE or step.get("output") == "indices" for step in steps)
