"""Export to standard QONNX (Quant and BipolarQuant nodes), by Brevitas' own exporter."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import onnx
import torch
from brevitas.export import export_qonnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import nn

from .blocks import GroupedVote
from .config import TEACHERS
from .errors import ModelError
from .networks import deployed


def export(network: nn.Module, path: Path, batch: int = 1, size: int = 32) -> nn.Module:
    """Writes ``network`` as QONNX with input ``pixels`` float [batch, 3, size, size] of value 0..255.

    Returns the deployed PyTorch network that was exported; the file appears whole or not at all.

    Raises:
        ModelError: a float network, or one with a map of activation scales, of which no hardware is made.
    """
    if network.config.model in TEACHERS:
        raise ModelError(
            f"{network.config.model} is a float network, a teacher, and no 1-bit one: build one that learned from it"
        )
    if network.config.activation_scale == "map":
        raise ModelError(
            f"{network.config.model} multiplies its sums by a map of activation scales, the product of two streams, "
            "for which there is no hardware: take their mean (flow ptq CHECKPOINT --output FOLDER), or train without "
            "them"
        )
    model = deployed(network)
    grouped = any(isinstance(module, GroupedVote) for module in model.modules())
    export_module(model, path, (batch, 3, size, size), custom_opsets={"flow.custom_op": 1} if grouped else {})
    return model


def export_module(
    module: nn.Module, path: Path, shape: tuple[int, ...], custom_opsets: dict[str, int] | None = None
) -> None:
    """Write any Brevitas module in evaluation mode as QONNX.

    It has one float input ``pixels`` of ``shape`` [N, C, H, W] and the output ``logits``; the file appears whole or not
    at all.

    Raises:
        ModelError: Brevitas or torch cannot export it; the message has their reason.
    """
    partial = Path(path).with_suffix(".part")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            export_qonnx(
                module,
                args=torch.zeros(shape),
                export_path=str(partial),
                input_names=["pixels"],
                output_names=["logits"],
                opset_version=13,
                dynamo=False,
                **({"custom_opsets": custom_opsets} if custom_opsets else {}),
            )
        proto = onnx.load(partial)
        fold_constants(proto)
        onnx.save(proto, partial)
        os.replace(partial, path)
    except RuntimeError as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(f"{type(module).__name__} cannot be exported to QONNX: {reason}") from error
    finally:
        partial.unlink(missing_ok=True)


def fold_constants(proto: onnx.ModelProto) -> None:
    """Replaces every node whose inputs are all constants by its value, except quantizers.

    torch spells each padding as seven nodes on constants. qonnx's cleanup would fold them one at a time, with
    all shapes inferred again after each: minutes where this takes a moment.
    """
    graph, opsets = proto.graph, {"": proto.opset_import[0].version}
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in list(graph.node):
        if node.domain or not all(name in known for name in node.input if name):
            continue
        values = ReferenceEvaluator(node, opsets=opsets).run(None, {name: known[name] for name in node.input if name})
        for name, value in zip(node.output, values):
            known[name] = value
            graph.initializer.append(numpy_helper.from_array(value, name))
        graph.node.remove(node)
