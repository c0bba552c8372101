"""Intervals hold what streams carry, widths follow from them, and nothing is rounded beyond 2^24."""

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from brevitas_models.config import NetworkConfig
from brevitas_models.export import export
from flow.compile import integer_graph, load_export
from flow.custom_op import narrow
from flow.execute import execute_graph
from flow.golden import Golden
from flow.graph import hardware_nodes
from flow.nodes.dot import dot, dot_bounds
from flow.nodes.stream import signed_bits
from flow.passes import PassError
from flow.passes.rewrite import read_notes
from flow.passes.set_widths import INTERVALS, SetWidths, intervals
from flow.steps.export import torch_logits
from tests.nodes.harness import hardware_op

from .small import Layer, SmallNetwork, random_images, settle

IMAGES = random_images(32, 16)
CONFIGS = [
    NetworkConfig(width=4),
    NetworkConfig(width=4, strategy="none", shortcut="binary", padding="zero"),
    NetworkConfig(width=8, voter="hierarchical(9)", shortcut="duplicate", padding="plus_one"),
]


def small(config):
    network = settle(SmallNetwork(config, (Layer(), Layer(2, 3, True), Layer(1, 1, True))), IMAGES)
    return integer_graph(network, size=16)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_every_stream_stays_in_its_interval(config):
    model = small(config)
    found, streams = intervals(model), {}
    Golden(model).execute(IMAGES, streams)
    narrower = 0
    for node in hardware_nodes(model):
        for name, stream in node.output_streams().items():
            low, high = found[name]
            assert low.shape == high.shape == (stream.channels,)
            least, largest = streams[name].min(axis=(0, 1, 2)), streams[name].max(axis=(0, 1, 2))
            assert (low <= least).all() and (largest <= high).all(), name
            narrower += (low.min(), high.max()) != stream.range
    assert narrower > 0  # some interval says more than its type
    assert set(read_notes(model, INTERVALS)) == {name for node in hardware_nodes(model) for name in node.outputs}


def test_accumulators_have_the_bits_of_their_intervals():
    """One bit less would not hold what the extreme inputs of a convolution give."""
    model = small(NetworkConfig(width=4))
    found = intervals(model)
    for node in hardware_nodes(model):
        if node.kind != "IntConv":
            continue
        low, high = found[node.inputs[0]]
        weights, bias = node.constants
        extremes = [
            dot(np.where((weights > 0) == up, high, low)[o : o + 1], weights[o : o + 1])
            for o in range(len(bias))
            for up in (True, False)
        ]
        sums = np.array(extremes).reshape(len(bias), 2) + bias[:, None]
        bits = node.op.acc_bits
        assert bits == max(
            signed_bits(min(sums.min(), (sums - bias[:, None]).min()), max(sums.max(), (sums - bias[:, None]).max())),
            node.op.shift + 1,
        )


def test_a_stream_that_could_leave_its_type_is_named():
    model = small(NetworkConfig(width=4))
    node = next(node for node in hardware_nodes(model) if node.kind == "VoteSelect")
    table = model.get_initializer(node.proto.input[1]).astype(np.int32)
    table[0] = 4000
    model.set_initializer(node.proto.input[1], table)
    with pytest.raises(PassError, match=r"VoteSelect_0 .*4000"):
        model.transform(SetWidths())


@pytest.mark.parametrize("seed", range(5))
def test_bounds_of_sums_are_reached(seed):
    rng = np.random.default_rng(seed)
    weights = rng.integers(-9, 10, (6, 5))
    low = rng.integers(-8, 4, 5)
    high = low + rng.integers(0, 9, 5)
    corners = np.stack(np.meshgrid(*zip(low, high)), -1).reshape(-1, 5)
    sums = dot(corners, weights)
    least, largest = dot_bounds((low, high), weights)
    np.testing.assert_array_equal(least, sums.min(axis=0))
    np.testing.assert_array_equal(largest, sums.max(axis=0))


def test_both_lines_of_a_prelu_are_bounded():
    rng = np.random.default_rng(0)
    channels = 16
    constants = [rng.integers(-8, 9, channels), *(rng.integers(-60, 61, channels) for _ in range(4))]
    op = hardware_op("PReLU", channels=channels, bits=5, out_bits=7, shift=2)
    low = rng.integers(-16, 0, channels)
    high = low + rng.integers(0, 16, channels)
    values = [op.evaluate(np.clip(np.full(channels, x), low, high), *constants) for x in range(-16, 16)]
    (bounds,) = op.bounds([(low, high)], constants)
    np.testing.assert_array_equal(bounds, (np.min(values, axis=0), np.max(values, axis=0)))


def test_layers_beyond_two_to_the_24_are_exact():
    """A dense layer whose sums float32 would round, alone and with constants behind it."""
    rng = np.random.default_rng(1)
    weights = rng.integers(-127, 128, (10, 12)).astype(np.float32)
    images = rng.integers(0, 256, (8, 2, 2, 3)).astype(np.uint8)
    scale = np.float32(2**16 - 1)
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["x", "scale"], ["wide"]),
            helper.make_node("Flatten", ["wide"], ["row"]),
            helper.make_node("Gemm", ["row", "weights"], ["sums"], transB=1),
            helper.make_node("Add", ["sums", "one"], ["y"]),
        ],
        "wide",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 2, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
    )
    model = ModelWrapper(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8))
    for name, value in (("weights", weights), ("scale", scale), ("one", np.float32(1))):
        model.set_initializer(name, value)
    rows = (images.transpose(0, 3, 1, 2).reshape(8, 12).astype(np.int64) * int(scale)).astype(np.int64)
    expected = rows @ weights.T.astype(np.int64) + 1
    assert np.abs(expected).max() > 2**25
    assert (expected.astype(np.float32) != expected).any()
    np.testing.assert_array_equal(execute_graph(model, images), expected)


def test_narrow_keeps_what_float32_would_round():
    assert narrow(np.array([2.0**24 + 2])).dtype == np.float32
    assert narrow(np.array([2.0**24 + 1])).dtype == np.float64


def test_logits_beyond_two_to_the_24_agree_in_every_stage(tmp_path):
    """A classifier with weights at their limit on residuals at theirs: float32 would round its sums."""
    config = NetworkConfig(width=48, residual_bits=12)
    network = settle(SmallNetwork(config, (Layer(2), Layer(2), Layer(1))), IMAGES)
    with torch.no_grad():
        network.classifier.weight.copy_(network.classifier.weight.abs() * 0.01 + 1.0)
        network.blocks[-1].norm.bias.uniform_(80.0, 120.0)
    images = IMAGES[:8]
    logits = torch_logits(network, images)
    model = integer_graph(network, size=16)
    scale = float(model.get_metadata_prop("logit_scale"))
    integers = Golden(model).execute(images)
    assert np.abs(integers).max() > 2**24 and (integers.astype(np.float32) != integers).any()
    np.testing.assert_array_equal(integers * scale, logits)
    export(network, tmp_path / "network.onnx", size=16)
    np.testing.assert_array_equal(execute_graph(load_export(tmp_path / "network.onnx"), images), logits)
