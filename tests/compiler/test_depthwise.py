"""A network of 4-bit activations with an overlapping maximum pool, convolutions with groups, one of them depthwise and
one of signs, and means that are over fewer pixels at the border, exported by Brevitas and built by ``flow build``."""

import json
import warnings

import pytest
import torch
from brevitas.export import export_qonnx
from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear, QuantReLU
from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerTensorFloat, Uint8ActPerTensorFloat
from brevitas_examples.bnn_pynq.models.common import CommonActQuant, CommonWeightQuant
from torch import nn

from flow.options import Options
from flow.plan.plan import Plan
from flow.run import run

COUNTS = {"golden_images": 32, "csim_images": 4, "rtl_images": 2}
FOUR_BITS = {"weight_quant": Int8WeightPerTensorFloat, "weight_bit_width": 4, "bias": False}
ONE_BIT = {"weight_quant": CommonWeightQuant, "weight_bit_width": 1, "weight_scaling_const": 0.1, "bias": False}


class Mobile(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.image = QuantIdentity(act_quant=Int8ActPerTensorFloat, bit_width=8)
        self.stem = QuantConv2d(3, width, 3, padding=1, **FOUR_BITS)
        self.depth = QuantConv2d(width, 2 * width, 3, stride=2, padding=1, groups=width, **FOUR_BITS)
        self.point = QuantConv2d(2 * width, width, 1, groups=2, **FOUR_BITS)
        self.signs = QuantConv2d(width, width, 3, padding=1, groups=width // 2, **ONE_BIT)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width * times) for times in (1, 2, 1, 1))
        self.bends = nn.ModuleList(QuantReLU(act_quant=Uint8ActPerTensorFloat, bit_width=4) for _ in range(4))
        self.bends[2] = QuantIdentity(act_quant=CommonActQuant, bit_width=1)
        self.largest, self.mean = nn.MaxPool2d(3, 2, 1), nn.AdaptiveAvgPool2d(1)
        self.means = nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False)
        self.last = QuantLinear(width, 10, bias=True, weight_quant=Int8WeightPerTensorFloat)

    def forward(self, x):
        x = self.image(x)
        for layer, norm, bend in zip((self.stem, self.depth, self.point, self.signs), self.norms, self.bends):
            x = bend(norm(layer(x)))
            x = self.largest(x) if layer is self.stem else x
        return self.last(self.mean(self.means(x)).flatten(1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("depthwise")
    torch.manual_seed(0)
    network = Mobile()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for norm in network.norms:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.3, 0.5)
        for _ in range(8):
            network.train()(torch.rand(16, 3, 28, 28) * 2 - 1)
        path = folder / "mobile.onnx"
        export_qonnx(
            network.eval(), args=torch.zeros(1, 3, 28, 28), export_path=str(path), opset_version=13, dynamo=False
        )
    options = Options(onnx=path, pixels=(-1, 1), fps=100, output=folder / "out", **COUNTS)
    run(options, log=lambda text: None)
    return folder / "out"


def test_every_stage_agrees(folder):
    lines = json.loads((folder / "report" / "summary.json").read_text())["verification"]
    assert {(line["stage"], line["against"]) for line in lines} >= {("csim", "golden"), ("rtl", "golden")}
    assert all(line["mismatches"] == 0 for line in lines if line["against"] == "golden")


def test_no_layer_has_weights_of_0(folder):
    nodes = [name.rpartition("_")[0] for name in Plan.read(folder / "plan.yaml").nodes]
    assert nodes.count("ReduceWindow") == 3 and nodes.count("GlobalPool") == 1 and nodes.count("IntConv") == 3
    assert nodes.count("XnorPopcount") == 1
