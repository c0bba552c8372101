"""Activations and pools of other people's networks need no module of their own: they become nodes that there are.

Each is written into a network between a convolution and a quantizer, alone or spelled out as exporters do, and the
scores are held to PyTorch's. One network with several of them runs in RTL, of which every file is one of rtl/.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from flow.emit.core import cell_of
from flow.emit.rtl import TOP, emit_rtl
from flow.golden import Golden
from flow.graph import hardware_nodes
from flow.library import rtl_folder
from flow.plan.apply import apply_plan
from flow.plan.planner import plan_network
from flow.plan.target import load_target
from flow.sim.rtl import RtlAccelerator

from .random_files import Value, Writer, images_of
from .written import CLASSES, SIGNS, deploy_run, flat, image, integers, save, writer

SUMS = replace(SIGNS, weights="2", activation="none")


def number(w: Writer, value: float) -> str:
    return w.constant(np.float32(value))


def one(kind, function, **attributes):
    """Return what writes an activation that is one node."""
    return lambda w, x: w.node(kind, [x.name], function(x.data), **attributes)


def times(factor, function):
    """Return what writes x times another activation of x."""

    def activation(w, x):
        return w.node("Mul", [x.name, factor(w, x).name], function(x.data))

    return activation


def gelu(w, x):
    y = w.node("Div", [x.name, number(w, 2**0.5)], None)
    y = w.node("Erf", [y.name], None)
    y = w.node("Add", [y.name, number(w, 1)], None)
    y = w.node("Mul", [x.name, y.name], None)
    return w.node("Mul", [y.name, number(w, 0.5)], F.gelu(x.data))


def gelu_by_tanh(w, x):
    y = w.node("Pow", [x.name, number(w, 3)], None)
    y = w.node("Mul", [y.name, number(w, 0.044715)], None)
    y = w.node("Add", [x.name, y.name], None)
    y = w.node("Mul", [y.name, number(w, (2 / np.pi) ** 0.5)], None)
    y = w.node("Tanh", [y.name], None)
    y = w.node("Add", [y.name, number(w, 1)], None)
    y = w.node("Mul", [x.name, y.name], None)
    return w.node("Mul", [y.name, number(w, 0.5)], F.gelu(x.data, approximate="tanh"))


def mish(w, x):
    y = w.node("Softplus", [x.name], None)
    y = w.node("Tanh", [y.name], None)
    return w.node("Mul", [x.name, y.name], F.mish(x.data))


def hard_swish(w, x):
    y = w.node("Add", [x.name, number(w, 3)], None)
    y = w.node("Clip", [y.name, number(w, 0), number(w, 6)], None)
    y = w.node("Mul", [x.name, y.name], None)
    return w.node("Div", [y.name, number(w, 6)], F.hardswish(x.data))


def leaky_by_maximum(w, x):
    y = w.node("Mul", [x.name, number(w, 0.1)], None)
    return w.node("Max", [x.name, y.name], F.leaky_relu(x.data, 0.1))


def leaky_by_choice(w, x):
    y = w.node("Mul", [x.name, number(w, 0.1)], None)
    above = w.node("Greater", [x.name, number(w, 0)], None)
    return w.node("Where", [above.name, x.name, y.name], F.leaky_relu(x.data, 0.1))


def band(w, x):
    above = w.node("Greater", [x.name, number(w, -0.4)], None)
    below = w.node("Less", [x.name, number(w, 0.8)], None)
    inside = w.node("And", [above.name, below.name], None)
    data = torch.where((x.data > -0.4) & (x.data < 0.8), 1.0, -1.0)
    return w.node("Where", [inside.name, number(w, 1), number(w, -1)], data)


def several(w, x):
    x = one("Relu", torch.relu)(w, x)
    x = w.affine("Mul", x, np.array(1.7))
    x = one("Tanh", torch.tanh)(w, x)
    return w.affine("Add", x, np.array(-0.3))


SIGMOID = one("Sigmoid", torch.sigmoid)
HARD_SIGMOID = one("HardSigmoid", F.hardsigmoid, alpha=1 / 6, beta=0.5)
ACTIVATIONS = {  # and the opset that has them
    "HardSwish": (one("HardSwish", F.hardswish), 14),
    "HardSwish by HardSigmoid": (times(HARD_SIGMOID, F.hardswish), 13),
    "HardSwish by Clip": (hard_swish, 13),
    "LeakyRelu": (one("LeakyRelu", lambda x: F.leaky_relu(x, 0.1), alpha=0.1), 13),
    "LeakyRelu by Max": (leaky_by_maximum, 13),
    "LeakyRelu by Where": (leaky_by_choice, 13),
    "Elu": (one("Elu", F.elu), 13),
    "Selu": (one("Selu", F.selu), 13),
    "Celu": (one("Celu", F.celu), 13),
    "Gelu": (one("Gelu", F.gelu), 20),
    "Gelu by Erf": (gelu, 13),
    "Gelu by Tanh": (gelu_by_tanh, 13),
    "Mish": (one("Mish", F.mish), 18),
    "Mish by Softplus": (mish, 13),
    "SiLU": (times(SIGMOID, F.silu), 13),
    "Softplus": (one("Softplus", F.softplus), 13),
    "Softsign": (one("Softsign", F.softsign), 13),
    "ThresholdedRelu": (one("ThresholdedRelu", lambda x: torch.where(x > 0.5, x, 0.0), alpha=0.5), 13),
    "Sigmoid": (SIGMOID, 13),
    "HardSigmoid": (HARD_SIGMOID, 13),
    "Tanh": (one("Tanh", torch.tanh), 13),
    "Erf": (one("Erf", torch.erf), 13),
    "Abs": (one("Abs", torch.abs), 13),
    "Floor": (one("Floor", torch.floor), 13),
    "square": (lambda w, x: w.node("Mul", [x.name, x.name], x.data**2), 13),
    "Pow": (lambda w, x: w.node("Pow", [x.name, number(w, 2)], x.data**2), 13),
    "band": (band, 13),
    "Relu, Mul, Tanh, Add": (several, 13),
}


def of_pool(kind, function, **attributes):
    return lambda w, x: w.node(kind, [x.name], function(x.data), x.quantized and kind == "MaxPool", **attributes)


def padded(x, value):
    return F.pad(x, (1, 1, 1, 1), value=value)


POOLS = {
    "maximum of 3x3": of_pool(
        "MaxPool", lambda x: F.max_pool2d(padded(x, -1e9), 3, 1), kernel_shape=[3, 3], pads=[1] * 4
    ),
    "maximum of 2x3": of_pool(
        "MaxPool", lambda x: F.max_pool2d(x, (2, 3), (2, 1)), kernel_shape=[2, 3], strides=[2, 1]
    ),
    "average of 3x3": of_pool("AveragePool", lambda x: F.avg_pool2d(x, 3, 2), kernel_shape=[3, 3], strides=[2, 2]),
    "average of 1x4": of_pool("AveragePool", lambda x: F.avg_pool2d(x, (1, 4)), kernel_shape=[1, 4], strides=[1, 4]),
    "average over pixels": of_pool("GlobalAveragePool", lambda x: x.mean((2, 3), keepdim=True)),
    "maximum over pixels": of_pool("GlobalMaxPool", lambda x: x.amax((2, 3), keepdim=True)),
}


def require_known_modules(model) -> None:
    known = {file.stem for file in rtl_folder().glob("*.sv")}
    assert {cell_of(node).module for node in hardware_nodes(model)} <= known


def require_near(w: Writer, output: Value, folder, limit: float):
    model, approximation = integers(save(w, output, folder / "network.onnx"), w)
    require_known_modules(model)
    found = np.array(deploy_run(model, images_of(w.file), folder)["scores"])
    expected = output.data.double().numpy()
    assert len(np.unique(expected)) > 1
    assert np.abs(found - expected).max() <= limit * np.ptp(expected)
    return model, approximation


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_in_front_of_few_levels_is_exact(name, tmp_path):
    activation, opset = ACTIVATIONS[name]
    w = writer(opset=opset)
    x = activation(w, w.layer(w.layer(image(w), SIGNS), SUMS))
    x = w.layer(flat(w, w.quant(x, 4, signed=True)), CLASSES)
    _, approximation = require_near(w, x, tmp_path, 1e-5)
    assert approximation.tensors == 0


@pytest.mark.parametrize("name", ["HardSwish", "SiLU", "Gelu by Erf", "LeakyRelu by Max"])
def test_an_activation_in_front_of_many_levels_is_near(name, tmp_path):
    activation, opset = ACTIVATIONS[name]
    w = writer(opset=opset)
    x = activation(w, w.layer(w.layer(image(w), SIGNS), SUMS))
    x = w.layer(flat(w, w.quant(x, 8, signed=True)), CLASSES)
    model, approximation = require_near(w, x, tmp_path, 0.02)
    assert approximation.tensors == 1 and "ValueTable" in {node.kind for node in hardware_nodes(model)}


@pytest.mark.parametrize("name", POOLS)
def test_a_pool_of_levels_is_exact(name, tmp_path):
    w = writer()
    x = w.quant(w.layer(w.layer(image(w), SIGNS), SUMS), 4, signed=True)
    x = w.quant(POOLS[name](w, x), 4, signed=True)
    _, approximation = require_near(w, w.layer(flat(w, x), CLASSES), tmp_path, 1e-5)
    assert approximation.tensors == 0


@pytest.mark.parametrize("first", ["signs", "levels"])
def test_a_sum_of_three_streams_is_on_one_grid(first, tmp_path):
    """Each has a scale of its own, so that all are quantized again."""
    w = writer()
    x = w.layer(image(w), SIGNS)
    if first == "levels":
        x = w.quant(w.layer(x, SUMS), 4, signed=True)
    one, other = (w.quant(w.layer(x, replace(SUMS, norm=True)), 4, signed=True) for _ in range(2))
    y = w.node("Sum", [x.name, one.name, other.name], x.data + one.data + other.data)
    x = w.layer(flat(w, w.quant(y, 4, signed=True)), CLASSES)
    _, approximation = require_near(w, x, tmp_path, 0.02)
    assert approximation.tensors == 5


def test_several_in_hardware(tmp_path):
    """Every file of the RTL but the top is one of rtl/, and it computes what golden does."""
    w = writer(opset=14)
    x = w.layer(image(w), SIGNS)
    for name in ("HardSwish", "LeakyRelu", "SiLU"):
        x = ACTIVATIONS[name][0](w, w.layer(x, SUMS))
        x = w.quant(x, 3, signed=True)
    x = w.quant(POOLS["average of 3x3"](w, POOLS["maximum of 3x3"](w, x)), 3, signed=True)
    model, approximation = require_near(w, w.layer(flat(w, x), CLASSES), tmp_path, 1e-5)
    assert approximation.tensors == 0
    hardware = apply_plan(model, plan_network(model, load_target("pynq-z2"), 2000))
    project = emit_rtl(hardware, tmp_path / "rtl", build_id="0" * 32, clock_mhz=100)
    files = {file.name: file.read_bytes() for file in (project / "rtl").glob("*.sv")}
    files.pop(f"{TOP}.sv")
    assert files == {name: (rtl_folder() / name).read_bytes() for name in files}
    images = images_of(w.file)[:3]
    np.testing.assert_array_equal(RtlAccelerator(project).execute(images).logits, Golden(model).execute(images))
