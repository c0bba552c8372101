"""The network as one file for `deploy.network`, which evaluates it on a board's processor."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from deploy.network import DESCRIPTION, FORMAT, VERSION
from flow.errors import FlowError
from flow.graph import Node, hardware_nodes, is_hardware, stream_of

DATE = (1980, 1, 1, 0, 0, 0)  # of all members, so that equal networks are equal files


def write_network(model: ModelWrapper, path: Path) -> None:
    """Write the hardware graph ``model``, planned or not, as an .npz file: a JSON text and the constants it names.

    Raises:
        FlowError: a node is no hardware node.
    """
    for proto in model.graph.node:
        if not is_hardware(proto):
            name = proto.name or proto.output[0]
            raise FlowError(
                f"{name} is a {proto.op_type}, no hardware node: write the graph behind flow.passes.to_integers"
            )
    arrays: dict[str, np.ndarray] = {}
    same: dict[str, str] = {}  # stream after plumbing -> stream before it
    nodes = []
    for node in hardware_nodes(model):
        if node.op.plumbing:
            same[node.outputs[0]] = same.get(node.inputs[0], node.inputs[0])
        else:
            nodes.append(_entry(node, same, arrays))
    first, last = model.graph.input[0].name, model.graph.output[0].name
    image = stream_of(model, first)
    if image is None:
        raise FlowError(f"no node takes the input {first}: write a compiled network")
    description = {
        "format": FORMAT,
        "version": VERSION,
        "image": [image.height, image.width, image.channels],
        "input": first,
        "output": same.get(last, last),
        "nodes": nodes,
    }
    text = json.dumps(description, sort_keys=True, separators=(",", ":"))
    partial = Path(f"{path}.part")
    with zipfile.ZipFile(partial, "w") as archive:
        for name, array in {DESCRIPTION: np.frombuffer(text.encode(), np.uint8), **arrays}.items():
            _write_array(archive, name, array)
    os.replace(partial, path)


def _entry(node: Node, same: dict[str, str], arrays: dict[str, np.ndarray]) -> dict:
    """Return the node's part of the JSON text; its constants go to ``arrays``."""
    constants = []
    for values in node.constants:
        signs = values.ndim == 2 and bool(np.all(np.abs(values) == 1))
        name = str(len(arrays))
        arrays[name] = np.packbits(values.ravel() > 0) if signs else _narrowest(values)
        constants.append({"array": name, "shape": list(values.shape), "signs": signs})
    return {
        "kind": node.kind,
        "name": node.name,
        "inputs": [same.get(name, name) for name in node.inputs],
        "outputs": list(node.outputs),
        "attributes": {name: value for name, value in node.op.values().items() if name not in node.op.planned},
        "constants": constants,
    }


def _narrowest(values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    kind = next(
        kind for kind in ("<i1", "<i2", "<i4", "<i8") if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max
    )
    return values.astype(kind)


def _write_array(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    """Write ``array`` without compression: signs do not shrink, and compressed bytes depend on the version of zlib."""
    data = io.BytesIO()
    np.lib.format.write_array(data, array, version=(1, 0), allow_pickle=False)
    archive.writestr(zipfile.ZipInfo(f"{name}.npy", DATE), data.getvalue())
