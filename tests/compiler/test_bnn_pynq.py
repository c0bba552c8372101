"""The standard networks of Brevitas' bnn_pynq, full size, random weights and statistics: built through csim and RTL."""

import warnings

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

PIXELS = (-1.0, 1.0)
HIDDEN = {"tfc": 64, "sfc": 256, "lfc": 1024}
IMAGES = 24


def network(name: str, weight_bits: int, activation_bits: int):
    """Return the network and the shape of its image."""
    if name == "cnv":
        return CNV(10, weight_bits, activation_bits, 8, 3), (3, 32, 32)
    options = {"weight_bit_width": weight_bits, "act_bit_width": activation_bits, "in_bit_width": activation_bits}
    hidden = [HIDDEN[name]] * 3
    return FC(num_classes=10, in_channels=1, out_features=hidden, in_features=(28, 28), **options), (1, 28, 28)


def settled(net: nn.Module, shape) -> nn.Module:
    """Return ``net`` with random norms, whose statistics are those of random images."""
    for module in net.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            for parameter, ends in ((module.weight, (-0.5, 1.5)), (module.bias, (-0.5, 0.5))):
                if parameter is not None:
                    nn.init.uniform_(parameter, *ends)
    net.train()
    with torch.no_grad():
        for _ in range(4):
            net(torch.rand(64, *shape) * 2 - 1)
    return net.eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tfc", "sfc", "lfc", "cnv"])
@pytest.mark.parametrize(("weight_bits", "activation_bits"), [(1, 1), (1, 2), (2, 2)])
def test_it_builds_and_answers_as_its_file(name, weight_bits, activation_bits, tmp_path):
    """Every stream of them is quantized: no class changes but ties, and no score by more than 0.01 % of the spread."""
    torch.manual_seed(0)
    net, shape = network(name, weight_bits, activation_bits)
    path = tmp_path / f"{name}.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = settled(net, shape)
        export_qonnx(net, args=torch.zeros(1, *shape), export_path=str(path), opset_version=13, dynamo=False)
    result = flow.build(onnx=path, pixels=PIXELS, target="pynq-z2", fps=20, output=tmp_path / "build")
    lines = result.summary["verification"]
    assert {"csim", "rtl"} <= {line["stage"] for line in lines}
    assert not any(line["mismatches"] for line in lines if line["stage"] in ("csim", "rtl"))
    images = sample_images((*shape[1:], shape[0]), IMAGES)
    found = scores(result.golden(images), score_steps(result.workspace.load_graph("integer")))
    expected = file_outputs(path, images, *PIXELS)
    spread = np.ptp(expected)
    assert np.abs(found - expected).max() <= 1e-4 * spread
    ordered = np.sort(expected, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > 1e-4 * spread
    assert clear.any() and (found.argmax(1) == expected.argmax(1))[clear].all()
