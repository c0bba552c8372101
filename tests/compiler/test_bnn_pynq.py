"""The standard networks of Brevitas' ``bnn_pynq``, full size, through every stage: TFC, SFC, LFC and CNV.

Weights and statistics are random. Each is exported to QONNX, built as ``flow build --onnx`` does, and its scores are
held to what the file itself gives. ``FLOW_BNN_PYNQ_RECORD`` names a file that a line of figures is added to.
"""

import json
import os
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from brevitas.export import export_qonnx
from brevitas_examples.bnn_pynq.models.CNV import CNV
from brevitas_examples.bnn_pynq.models.FC import FC
from torch import nn

import flow
from deploy.scores import scores
from flow.foreign import sample_images
from flow.normalise.tail import score_steps
from flow.reference import file_outputs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]
HIDDEN = {"tfc": 64, "sfc": 256, "lfc": 1024}  # features of each of the three hidden layers
BITS = {"1w1a": (1, 1), "1w2a": (1, 2), "2w2a": (2, 2)}  # of weights and of activations
PIXELS = (-1.0, 1.0)
IMAGES = 24


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


def near_classes(found: np.ndarray, expected: np.ndarray, spread: float) -> int:
    """Return in how many images the class is another one, where the file's two best are no tie."""
    other = found.argmax(axis=1) != expected.argmax(axis=1)
    two = np.sort(expected, axis=1)[:, -2:]
    return int((other & (np.diff(two, axis=1)[:, 0] > 1e-4 * spread)).sum())


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("name", [*HIDDEN, "cnv"])
def test_every_stage_agrees(name, bits, tmp_path):
    module, shape = network(name, *BITS[bits])
    path = tmp_path / f"{name}_{bits}.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_qonnx(module, args=torch.zeros(1, *shape), export_path=str(path), opset_version=13, dynamo=False)
    begin = time.monotonic()
    result = flow.build(onnx=path, pixels=PIXELS, target="pynq-z2", fps=20.0, output=tmp_path / "build")
    seconds = time.monotonic() - begin

    summary = result.summary
    stages = {(line["stage"], line["what"]): line for line in summary["verification"]}
    for stage in ("csim", "rtl"):
        for what in ("logits", "values of every stream"):
            assert stages[stage, what]["values"] > 0 and stages[stage, what]["mismatches"] == 0
    assert summary["plan"]["fits"] and summary["simulated"]["fps"] >= 20

    images = sample_images((*shape[1:], shape[0]), IMAGES)
    model = result.workspace.load_graph("integer")
    expected = file_outputs(path, images, *PIXELS)
    found = scores(result.golden(images), score_steps(model)).reshape(expected.shape)
    spread = float(np.ptp(expected))
    difference = float(np.abs(found - expected).max()) / spread
    other = near_classes(found, expected, spread)
    exact = not summary["foreign"]["tensors"]
    record(
        path.stem,
        seconds=round(seconds, 1),
        fps=round(summary["simulated"]["fps"], 1),
        lut=round(summary["plan"]["resources"]["lut"]),
        dsp=summary["plan"]["resources"]["dsp"],
        bram36=summary["plan"]["resources"]["bram36"],
        streams="quantized" if exact else "calibrated",
        difference=difference,
        other_class=other,
    )
    assert difference <= (1e-4 if exact else 0.02)
    assert other <= (0 if exact else 1)


def record(name: str, **figures) -> None:
    """Add a line of JSON to the file that FLOW_BNN_PYNQ_RECORD names."""
    if path := os.environ.get("FLOW_BNN_PYNQ_RECORD"):
        with Path(path).open("a") as file:
            file.write(json.dumps({"network": name, **figures}) + "\n")
