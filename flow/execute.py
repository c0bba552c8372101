"""Executing a QONNX graph, float or half-way to integers, on images of any number."""

from __future__ import annotations

import copy
import os

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

# qonnx would round every annotated tensor again before every node, which costs ten times the execution
os.environ.setdefault("SANITIZE_QUANT_TENSORS", "0")


def with_batch(model: ModelWrapper, batch: int) -> ModelWrapper:
    """A copy of ``model`` for ``batch`` images at a time; every activation's first dimension is the batch."""
    model = copy.deepcopy(model)
    constants = {tensor.name for tensor in model.graph.initializer}
    for info in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        dims = info.type.tensor_type.shape.dim
        if info.name not in constants and len(dims) > 1 and dims[0].dim_value == 1:
            dims[0].dim_value = batch
    return model


def execute_graph(model: ModelWrapper, images: np.ndarray, batch: int = 32) -> np.ndarray:
    """Logits float [N, classes] of images uint8 [N, H, W, 3] from a graph with real input and output."""
    pixels = images.transpose(0, 3, 1, 2).astype(np.float32)
    name, outputs, batched = model.graph.input[0].name, [], None
    for start in range(0, len(pixels), batch):
        part = pixels[start : start + batch]
        if batched is None or batched.get_tensor_shape(name)[0] != len(part):
            batched = with_batch(model, len(part))
        outputs.append(execute_onnx(batched, {name: part})[batched.graph.output[0].name])
    return np.concatenate(outputs)
