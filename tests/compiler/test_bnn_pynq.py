"""The standard networks of Brevitas' ``bnn_pynq``, full size, through every stage: TFC, SFC, LFC and CNV.

Weights and statistics are random. Each is exported to QONNX, built as ``flow build --onnx`` does, and its scores are
held to what the file itself gives. ``FLOW_BNN_PYNQ_RECORD`` names a file that a line of figures is added to.
"""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

import flow
from deploy.scores import scores
from flow.foreign import sample_images
from flow.normalise.tail import score_steps
from flow.reference import file_outputs

from .bnn_pynq import BITS, NAMES, PIXELS, write_network

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]
IMAGES = 24


def near_classes(found: np.ndarray, expected: np.ndarray, spread: float) -> int:
    """Return in how many images the class is another one, where the file's two best are no tie."""
    other = found.argmax(axis=1) != expected.argmax(axis=1)
    two = np.sort(expected, axis=1)[:, -2:]
    return int((other & (np.diff(two, axis=1)[:, 0] > 1e-4 * spread)).sum())


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("name", NAMES)
def test_every_stage_agrees(name, bits, tmp_path):
    path = tmp_path / f"{name}_{bits}.onnx"
    shape = write_network(name, bits, path)
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
