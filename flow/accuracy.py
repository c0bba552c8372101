"""Accuracy on labelled images: of the integers of a build, beside that of the network they were made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from brevitas_models.metrics import top1_top5
from deploy.scores import class_scores
from flow.errors import FlowError
from flow.execute import execute_graph
from flow.files import file_sha256
from flow.golden import Golden
from flow.normalise.tail import score_steps
from flow.workspace import Workspace


def accuracy(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return top1 and top5 in percent of scores [N, classes], of which the largest is the class."""
    top1, top5 = top1_top5(scores, labels)
    return {"top1": round(top1, 2), "top5": round(top5, 2)}


def integer_scores(model, logits: np.ndarray, labels: np.ndarray, source: Path | str) -> np.ndarray:
    """Return scores [N, classes] of the logits of an integer graph, in the units of the network's file.

    Raises:
        FlowError: the network gives maps, or a label of ``source`` is none of its classes.
    """
    scores = class_scores(logits, score_steps(model))
    if scores.ndim > 2:
        raise FlowError(f"{source} has a class an image, and the network gives maps: leave --labels out")
    if labels.max() >= scores.shape[1]:
        raise FlowError(
            f"{source} has class {labels.max()}, and the network {scores.shape[1]} classes: give labels from 0 on"
        )
    return scores


def file_scores(model, path: Path, images: np.ndarray, pixels: tuple[float, float]) -> np.ndarray:
    """Return scores [N, classes] of the outputs of a QONNX file for images uint8 [N, H, W, C], whose 0 and 255 are
    ``pixels``: 1 for the class where the outputs are indices of classes.

    Raises:
        FlowError: the outputs name no classes, or are NaN or infinite.
    """
    from flow.reference import file_outputs

    outputs, steps = file_outputs(path, images, *pixels), score_steps(model)
    classes = class_scores(np.zeros((1, _outputs(model))), steps).shape[1]
    if not any(step["kind"] in ("ArgMax", "ArgMin", "TopK") for step in steps):
        return outputs.reshape(len(outputs), -1)
    if any(step["kind"] == "TopK" and step["output"] != "indices" for step in steps):
        raise FlowError(f"{path} gives its largest values, not which classes have them: there is no accuracy of it")
    return np.eye(classes)[outputs[:, 0].astype(int)]


def side_by_side(network: np.ndarray, integers: np.ndarray, labels: np.ndarray) -> dict:
    """Return the accuracy of both scores [N, classes], and the images whose class is another.

    ``other_class`` has, for every such image, its number, both classes and its label.
    """
    before, after = network.argmax(axis=1), integers.argmax(axis=1)
    changed = [
        {"image": int(i), "network": int(before[i]), "integers": int(after[i]), "label": int(labels[i])}
        for i in np.flatnonzero(before != after)
    ]
    return {
        "images": len(labels),
        "network": accuracy(network, labels),
        "integers": accuracy(integers, labels),
        "other_class": changed,
    }


def measure(workspace: Workspace, images: np.ndarray, labels: np.ndarray, source: str) -> dict:
    """Return `side_by_side` for images uint8 [N, H, W, C] and labels [N], by the graphs of a build.

    The network is the QONNX file of the build, or, of a checkpoint, its export, which was compared with PyTorch.

    Raises:
        FlowError: the build did not come to its integers, its file is gone or changed, the images are of another shape,
            or a label is no class.
    """
    model = workspace.load_graph("integer")
    shape = tuple(model.get_tensor_shape(model.graph.input[0].name)[1:])
    if images.shape[1:] != shape:
        found, taken = ("x".join(map(str, size)) for size in (images.shape[1:], shape))
        raise FlowError(f"images of {source} are {found}, and the network takes {taken}: give it its own")
    integers = integer_scores(model, Golden(model).execute(images), labels, source)
    exported = workspace.load_json("export")
    if "file" not in exported:
        return side_by_side(execute_graph(workspace.load_graph("export"), images), integers, labels)
    path = Path(exported["file"])
    if not path.is_file() or file_sha256(path) != exported["sha256"]:
        raise FlowError(f"{path}, of which {workspace.folder} was built, is gone or has changed: build it again")
    return side_by_side(file_scores(model, path, images, tuple(exported["pixels"])), integers, labels)


def _outputs(model) -> int:
    return int(np.prod(model.get_tensor_shape(model.graph.output[0].name)[1:]))
