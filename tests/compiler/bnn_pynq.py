"""The standard networks of Brevitas' ``bnn_pynq`` at full size, TFC, SFC, LFC and CNV, with random weights."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from brevitas.export import export_qonnx
from brevitas_examples.bnn_pynq.models.CNV import CNV
from brevitas_examples.bnn_pynq.models.FC import FC
from torch import nn

HIDDEN = {"tfc": 64, "sfc": 256, "lfc": 1024}  # features of each of the three hidden layers
NAMES = (*HIDDEN, "cnv")
BITS = {"1w1a": (1, 1), "1w2a": (1, 2), "2w2a": (2, 2)}  # of weights and of activations
PIXELS = (-1.0, 1.0)


def network(name: str, weights: int, activations: int) -> tuple[nn.Module, tuple[int, int, int]]:
    """Return a network with random weights and statistics, and the shape of its input."""
    torch.manual_seed(0)
    if name == "cnv":
        module, shape = CNV(10, weights, activations, 8, 3), (3, 32, 32)
    else:
        module, shape = FC(10, weights, activations, activations, 1, [HIDDEN[name]] * 3, (28, 28)), (1, 28, 28)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
                part.weight.uniform_(-0.5, 1.5)
                part.bias.uniform_(-0.5, 0.5)
        module.train()
        for _ in range(4):
            module(torch.rand(64, *shape) * 2 - 1)
    return module.eval(), shape


def write_network(name: str, bits: str, path: Path) -> tuple[int, int, int]:
    """Write a network to ``path`` as QONNX, by Brevitas' exporter, and return the shape of its input."""
    module, shape = network(name, *BITS[bits])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_qonnx(module, args=torch.zeros(1, *shape), export_path=str(path), opset_version=13, dynamo=False)
    return shape
