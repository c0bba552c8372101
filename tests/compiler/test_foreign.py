"""Networks of other people's making: plain Brevitas layers, real residuals, any scales, exported by Brevitas."""

import warnings

import numpy as np
import pytest
import torch
from brevitas.export import export_qonnx
from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear
from brevitas.quant import Int8WeightPerChannelFloat, Int8WeightPerTensorFloat
from brevitas_examples.bnn_pynq.models.CNV import CNV
from brevitas_examples.bnn_pynq.models.common import CommonActQuant, CommonWeightQuant
from torch import nn

from flow.execute import execute_graph
from flow.foreign import prepare
from flow.golden import Golden
from flow.graph import hardware_nodes
from flow.inspection import inspect_graph, load_foreign
from flow.passes import PassError, to_integers
from flow.steps.streamline import logit_integers
from tests.passes.graphs import QonnxGraph

from .small import random_images


class Residual(nn.Module):
    """What people write.

    Real residuals, zero padding, an AvgPool shortcut, PReLU of any slope, one sign for two convolutions, scales that
    are no powers of two, a mean as the global pool, an unquantized image.
    """

    def __init__(self, width=8, weight_quant=Int8WeightPerTensorFloat):
        super().__init__()
        self.stem = QuantConv2d(3, width, 3, padding=1, bias=False, weight_quant=weight_quant)
        self.stem_norm = nn.BatchNorm2d(width)
        self.sign = QuantIdentity(act_quant=CommonActQuant, bit_width=1)
        self.left, self.right = (self._binary(width, width) for _ in range(2))
        self.left_norm, self.right_norm = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.bend = nn.PReLU(width, init=0.3)
        self.sign2 = QuantIdentity(act_quant=CommonActQuant, bit_width=1)
        self.down = self._binary(width, 2 * width, stride=2)
        self.down_norm = nn.BatchNorm2d(2 * width)
        self.pool = nn.AvgPool2d(2)
        self.shortcut = QuantConv2d(width, 2 * width, 1, bias=False, weight_quant=weight_quant)
        self.shortcut_norm = nn.BatchNorm2d(2 * width)
        self.classifier = QuantLinear(2 * width, 10, bias=True, weight_quant=Int8WeightPerTensorFloat)

    @staticmethod
    def _binary(inputs, outputs, stride=1):
        return QuantConv2d(
            inputs,
            outputs,
            3,
            stride=stride,
            padding=1,
            bias=False,
            weight_quant=CommonWeightQuant,
            weight_bit_width=1,
            weight_scaling_const=0.07,
        )

    def forward(self, x):
        x = self.stem_norm(self.stem(x))
        bits = self.sign(x)
        x = self.bend(self.left_norm(self.left(bits)) + self.right_norm(self.right(bits)) + x)
        branch = self.down_norm(self.down(self.sign2(x)))
        x = branch + self.shortcut_norm(self.shortcut(self.pool(x)))
        return self.classifier(x.mean((2, 3)))


def settled(network, images, seed=0):
    torch.manual_seed(seed)
    x = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1.0
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm1d)):
                module.weight.uniform_(-0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
        network.train()
        for part in x.split(16):
            network(part)
    return network.eval()


def exported(network, images, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        size = images.shape[1]
        export_qonnx(network, args=torch.zeros(1, 3, size, size), export_path=str(path), opset_version=13, dynamo=False)
    return load_foreign(path)


@pytest.mark.parametrize("weight_quant", [Int8WeightPerTensorFloat, Int8WeightPerChannelFloat])
def test_a_residual_network(weight_quant, tmp_path):
    images = random_images(48, 16)
    torch.manual_seed(1)
    network = settled(Residual(weight_quant=weight_quant), images)
    model, approximation = prepare(exported(network, images, tmp_path / "residual.onnx"), images, -1.0, 1.0)
    assert approximation.tensors > 5 and approximation.bits > 8
    assert approximation.relative_difference <= 0.02 and approximation.other_class == 0
    original = network(torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1.0).detach().numpy()
    quantized = execute_graph(model, images)
    assert np.abs(quantized - original).max() <= approximation.largest_difference + 1e-4
    integer = to_integers(model)
    logits = Golden(integer).execute(images)
    wanted = logit_integers(integer, quantized.astype(np.float64))
    assert np.abs(logits - wanted).max() < 0.03 * np.ptp(wanted)
    assert (logits.argmax(1) != wanted.argmax(1)).sum() <= 2
    kinds = {node.kind for node in hardware_nodes(integer)}
    assert {"PReLU", "AvgPool", "GlobalPool", "Duplicate", "AddStreams", "ValueTable", "IntConv"} <= kinds
    assert all(node.op.masked for node in hardware_nodes(integer) if node.kind == "XnorPopcount")


def test_finns_cnv(tmp_path):
    """The network that FINN ships, as Brevitas builds and exports it: 1-bit weights and activations."""
    images = random_images(32, 32)
    network = settled(CNV(10, 1, 1, 8, 3), images)
    model, approximation = prepare(exported(network, images, tmp_path / "cnv.onnx"), images[:8], -1.0, 1.0)
    assert approximation.tensors == 0 and approximation.largest_difference == 0
    integer = to_integers(model)
    logits = Golden(integer).execute(images[:8])
    wanted = logit_integers(integer, execute_graph(model, images[:8]).astype(np.float64))
    np.testing.assert_array_equal(logits, wanted)
    activations = [node.op.activation for node in hardware_nodes(integer) if node.kind == "XnorPopcount"]
    assert activations == ["threshold"] * 7 + ["sum"]


def test_inspection_names_what_each_node_becomes_and_what_does_not(tmp_path):
    images = random_images(32, 16)
    network = settled(Residual(), images)
    network.bend = nn.Tanh()
    model = exported(network, images, tmp_path / "tanh.onnx")
    prepared, _ = prepare(model, images, -1.0, 1.0)
    rows, refused = inspect_graph(prepared)
    assert [row["type"] for row in refused] == ["Tanh"]
    becomes = {row.kind: row.becomes for row in rows if row.becomes}
    assert becomes["Tanh"] == "nothing"
    assert "XnorPopcount" in " ".join(row.becomes for row in rows if row.kind == "Conv")
    assert all(row.operations > 0 for row in rows if row.kind == "Conv")
    with pytest.raises(PassError, match="Tanh"):
        to_integers(prepared)


class Signs(nn.Sequential):
    """Weights of 1 bit and activations of 2, an input of 8 bits, as FINN calls 1W2A."""

    def __init__(self, width=8):
        def act(bits):
            return QuantIdentity(act_quant=CommonActQuant, bit_width=bits)

        def conv(inputs, outputs, **options):
            binary = {"weight_quant": CommonWeightQuant, "weight_bit_width": 1, "bias": False}
            return QuantConv2d(inputs, outputs, 3, **binary, **options)

        super().__init__(
            *(act(8), conv(3, width, padding=1), nn.BatchNorm2d(width), act(2)),
            *(conv(width, 2 * width, stride=2), nn.BatchNorm2d(2 * width), act(2)),
            *(conv(2 * width, 2 * width), nn.BatchNorm2d(2 * width), act(2), nn.Flatten()),
            QuantLinear(2 * width * 25, 10, bias=False, weight_quant=CommonWeightQuant, weight_bit_width=1),
        )


def test_weights_of_one_bit_take_no_multipliers(tmp_path):
    """Neither on 2-bit activations nor on 8-bit pixels; only scales multiply. Golden is the file's network."""
    images = random_images(24, 16)
    network = settled(Signs(), images)
    model, approximation = prepare(exported(network, images, tmp_path / "signs.onnx"), images, -1.0, 1.0, bits=12)
    assert approximation.tensors == 0
    integer = to_integers(model)
    wanted = logit_integers(integer, execute_graph(model, images).astype(np.float64))
    np.testing.assert_array_equal(Golden(integer).execute(images), wanted)
    layers = [node.op for node in hardware_nodes(integer) if node.kind == "IntConv"]
    assert [op.weight_bits for op in layers] == [1] * 4 and [op.bits for op in layers] == [8, 2, 2, 2]
    assert [op.variant(pe=2).cost().dsp for op in layers] == [2 * op.scaled for op in layers]
    assert all("add_subtract" in op.operations() for op in layers)


def test_bits_behind_a_curve_that_falls_and_rises_have_two_thresholds(tmp_path):
    graph = QonnxGraph(channels=3, height=8)
    x = graph.conv(graph.integers(8, 0.0078), graph.binary_weights(8, 3, 3, 3), kernel_shape=[3, 3])
    x = graph.node("HardSwish", graph.batch_norm(x, graph.rng.uniform(-1.5, 1.5, 8), graph.rng.normal(size=8)))
    x = graph.bipolar(graph.node("Add", x, 0.1))
    path = tmp_path / "curve.onnx"
    graph.model(graph.conv(x, graph.integer_weights(5, 8, 6, 6), kernel_shape=[6, 6])).save(str(path))
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), np.uint8)
    model, approximation = prepare(load_foreign(path), images, 0.0, 255.0)
    assert approximation.tensors == 0
    integer = to_integers(model)
    assert {"MultiThreshold", "SignThreshold"} <= {node.kind for node in hardware_nodes(integer)}
    wanted = logit_integers(integer, execute_graph(model, images).astype(np.float64))
    np.testing.assert_array_equal(Golden(integer).execute(images), wanted)
