"""The flow from Python: build, load, inspect, a module of one's own; and what a wrong call is told."""

import subprocess
import sys

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from brevitas.core.quant import QuantType
from brevitas.core.restrict_val import RestrictValueType
from brevitas.core.scaling import ScalingImplType
from brevitas.quant import Int8ActPerTensorFixedPoint
from torch import nn

import flow
from brevitas_models.checkpoint import Metadata, save_checkpoint
from tests.compiler.networks import settled_network

COUNTS = {"golden_images": 16, "csim_images": 4, "rtl_images": 2, "accuracy_images": 32}
SIGN = {
    "quant_type": QuantType.BINARY,
    "scaling_impl_type": ScalingImplType.CONST,
    "restrict_scaling_type": RestrictValueType.FP,
    "scaling_init": 1.0,
}


class Own(nn.Module):
    """A network as a user of Brevitas writes it: a stem of 4-bit weights, a binary layer, a dense layer of signs."""

    def __init__(self, classes=4):
        super().__init__()
        self.image = qnn.QuantIdentity(act_quant=Int8ActPerTensorFixedPoint, return_quant_tensor=False)
        self.layers = nn.Sequential(
            self._stem(3, 8, weight_bit_width=4),
            nn.BatchNorm2d(8),
            qnn.QuantIdentity(bit_width=1, min_val=-1.0, max_val=1.0, **SIGN),
            qnn.QuantConv2d(8, 16, 3, stride=2, bias=False, weight_bit_width=1, **self._weights()),
            nn.BatchNorm2d(16),
            qnn.QuantIdentity(bit_width=1, min_val=-1.0, max_val=1.0, **SIGN),
        )
        self.classifier = qnn.QuantLinear(16 * 6 * 6, classes, bias=False, weight_bit_width=1, **self._weights())

    @staticmethod
    def _weights():
        return {f"weight_{name}": value for name, value in SIGN.items()}

    @staticmethod
    def _stem(inputs, outputs, weight_bit_width):
        return qnn.QuantConv2d(inputs, outputs, 3, bias=False, weight_bit_width=weight_bit_width)

    def forward(self, x):
        return self.classifier(self.layers(self.image(x)).flatten(1))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (48, 16, 16, 3), np.uint8)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    network = settled_network(width=4)
    metadata = Metadata(
        network=network.config, data="none", command="none", epochs=0, epochs_planned=1, seed=0, seconds=0
    )
    save_checkpoint(folder / "small.popbin", network, metadata)
    return flow.build(checkpoint=folder / "small.popbin", output=folder / "out", **COUNTS)


def test_import_is_quick_and_loads_nothing():
    code = "import sys, time; t = time.perf_counter(); import flow; s = time.perf_counter() - t; "
    code += "print(s, sorted({'torch', 'onnx', 'numpy', 'qonnx', 'pydantic', 'rich'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, loaded = run.stdout.strip().split(" ", 1)
    assert float(seconds) < 0.3 and loaded == "[]"


def test_build(result):
    lines = result.summary["verification"]
    assert {line["stage"] for line in lines} == {"export", "golden", "csim", "rtl"}
    assert all(line["mismatches"] == 0 and line["values"] for line in lines)


def test_golden_and_simulation_agree(result):
    from brevitas_models.data import load_samples

    images = load_samples().images[:3]
    logits = result.golden(images)
    np.testing.assert_array_equal(result.simulate(images).logits, logits)
    from deploy import Package

    stored = Package.load(result.folder / "deploy").samples()
    np.testing.assert_array_equal(result.golden(stored[0][:5]), stored[2][:5])


def test_load(result):
    again = flow.load(result.folder)
    assert again.summary == result.summary
    assert "339" not in again.report() and "mismatches" in again.report() and "simulated" in again.report()
    assert (
        again.plan.target == "pynq-z2"
        and again.plan.nodes.keys() == flow.Plan.read(again.folder / "plan.yaml").nodes.keys()
    )


def test_an_edited_plan(result, tmp_path):
    plan = result.plan.model_copy(deep=True)
    tensor = next(iter(plan.fifos))
    plan.fifos[tensor].elements += 64
    plan.save(tmp_path / "plan.yaml")
    checkpoint = result.folder.parent / "small.popbin"
    options = {"checkpoint": checkpoint, "plan": tmp_path / "plan.yaml", "output": tmp_path / "out", **COUNTS}
    again = flow.build(last="plan", **options)
    assert again.plan == plan != result.plan


def test_a_network_of_ones_own(images, tmp_path):
    torch.manual_seed(0)
    network = Own()
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    for _ in range(3):
        network.train()(pixels / 255)  # statistics
    said = []
    result = flow.build(
        network=network.eval(), images=images, pixels=(0, 1), output=tmp_path / "out", log=said.append, **COUNTS
    )
    assert result.summary["model"] == "own" and said
    stages = {line["stage"] for line in result.summary["verification"] if line["stage"] in ("csim", "rtl")}
    assert stages == {"csim", "rtl"}
    with torch.no_grad():
        classes = network(pixels / 255).argmax(1).numpy()
    assert (result.golden(images).argmax(1) == classes).mean() > 0.9
    found = flow.inspect(tmp_path / "out" / "own.onnx", pixels=(0, 1))
    assert found.builds and {"XnorPopcount", "SlidingWindow + XnorPopcount"} & {row.becomes for row in found.rows}


WRONG = {
    "unknown": ({"speed": 3}, "speed is 3: extra inputs are not permitted"),
    "range": ({"fps": -1}, "fps is -1: input should be greater than or equal to 0.1"),
    "target": ({"target": "pynq-z9"}, "target 'pynq-z9' is unknown: use one of"),
    "two": ({"onnx": "a.onnx", "checkpoint": "b.popbin"}, "onnx and checkpoint are two networks: give one"),
    "pixels": ({"onnx": "a.onnx", "pixels": (1, 1)}, "pixels 1,1: the first must be smaller"),
    "images": ({"images": np.zeros((2, 32, 32, 3), np.uint8)}, "images is of a QONNX file"),
    "step": ({"last": "lunch"}, "step 'lunch' is unknown"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls(name, tmp_path):
    given, message = WRONG[name]
    with pytest.raises(flow.FlowError, match=message):
        flow.build(output=tmp_path / "out", **given)


def test_a_network_needs_images():
    with pytest.raises(flow.FlowError, match="a network needs images"):
        flow.build(network=nn.Identity())
    with pytest.raises(flow.FlowError, match="network= and checkpoint= are two networks"):
        flow.build(network=nn.Identity(), images=np.zeros((1, 8, 8, 3), np.uint8), checkpoint="x.popbin")


def test_no_build_there(tmp_path):
    with pytest.raises(flow.FlowError, match="is no build folder"):
        flow.load(tmp_path)
    with pytest.raises(flow.FlowError, match="no file"):
        flow.inspect(tmp_path / "none.onnx")
    with pytest.raises(AttributeError, match="no attribute 'lunch'"):
        flow.lunch  # noqa: B018
