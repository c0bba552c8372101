"""Small QONNX files written node by node, and what the compiler makes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper

from deploy.__main__ import run
from deploy.network import Network
from flow.emit.network_file import write_network
from flow.foreign import prepare
from flow.inspection import load_foreign
from flow.normalise.tail import score_steps
from flow.passes import to_integers

from .random_files import QONNX, File, Layer, Value, Writer, as_input, images_of

SIGNS = Layer(12)  # a binary convolution, a norm and a sign
CLASSES = Layer(10, weights="4", activation="none", norm=False)


def writer(shape=(2, 8, 8), opset: int = 13, seed: int = 0, powers: bool = False) -> Writer:
    """Return a writer of a network of one's own on inputs of this shape; pixels are -1 to 1."""
    pixels = (-1.0, 1.0)
    return Writer(File(shape, "8", pixels, powers, (), (), "flatten", "logits", opset, seed, 20.0))


def image(w: Writer, bits: int = 8) -> Value:
    """Return the input behind its quantizer."""
    pixels = torch.from_numpy(as_input(w.file, images_of(w.file)))
    return w.quant(Value("image", pixels, False), bits, signed=True)


def flat(w: Writer, x: Value) -> Value:
    """Return a map as a row."""
    return w.node("Flatten", [x.name], x.data.flatten(1), x.quantized, axis=1)


def save(w: Writer, x: Value, path: Path) -> Path:
    """Write the graph that ends with ``x``."""
    kind = TensorProto.INT64 if x.data.dtype == torch.int64 else TensorProto.FLOAT
    graph = helper.make_graph(
        w.nodes,
        "written",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, *w.file.shape])],
        [helper.make_tensor_value_info(x.name, kind, [1, *x.data.shape[1:]])],
        w.constants,
    )
    opsets = [helper.make_opsetid("", w.file.opset), helper.make_opsetid(QONNX, 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def integers(path: Path, w: Writer):
    """Return the integer graph of a file, compiled as a build does, and what became fixed point."""
    images = images_of(w.file)
    model, approximation = prepare(load_foreign(path), images, *w.file.pixels)
    return to_integers(model), approximation


def deploy_run(model, images: np.ndarray, folder: Path) -> dict:
    """Return the result of ``deploy run``, whose integers the driver's own network computes."""
    write_network(model, folder / "network.npz")
    np.save(folder / "images.npy", images)
    package = SimpleNamespace(tail=tuple(score_steps(model)), image=images.shape[1:], labels=())
    execute: Callable = Network(folder / "network.npz").execute
    accelerator = SimpleNamespace(package=package, execute=execute)
    return run(accelerator, SimpleNamespace(images_file=folder / "images.npy"))  # type: ignore[arg-type]
