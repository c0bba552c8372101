"""Export to standard QONNX (Quant and BipolarQuant nodes), by Brevitas' own exporter."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import torch
from brevitas.export import export_qonnx
from torch import nn

from .networks import deployed


def export(network: nn.Module, path: Path, batch: int = 1) -> nn.Module:
    """Writes ``network`` as QONNX with input ``pixels`` float [batch, 3, 32, 32] of value 0..255.

    Returns the deployed PyTorch network that was exported; the file appears whole or not at all.
    """
    model = deployed(network)
    partial = Path(path).with_suffix(".part")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_qonnx(
            model, args=torch.zeros(batch, 3, 32, 32), export_path=str(partial),
            input_names=["pixels"], output_names=["logits"], opset_version=13, dynamo=False,
        )
    os.replace(partial, path)
    return model
