"""Networks as other people write them: each is read, made integers, and held against its own file's answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from deploy.scores import scores
from flow.errors import FlowError
from flow.foreign import image_shape, prepare, sample_images
from flow.golden import Golden
from flow.graph import hardware_nodes
from flow.inspection import inspect_file, load_foreign
from flow.normalise.tail import score_steps
from flow.passes import to_integers
from flow.reference import file_outputs
from tests.passes.graphs import QUANT_DOMAIN, QonnxGraph

IMAGES = 8
EXACT, CALIBRATED = 1e-4, 0.02  # of the spread
LAYERS = {"sliding_window", "int_conv", "xnor_popcount", "pixel_offset", "sign_threshold"}
FORMS = {"value_table", "multi_threshold", "prelu"}  # of any function of one value
MODULES = LAYERS | FORMS


class File(QonnxGraph):
    """A graph on an input of any shape, in -1..1, that becomes a file."""

    def __init__(self, *shape: int):
        super().__init__(channels=shape[1])
        self.shape = shape

    def image(self) -> str:
        return self.quant("image", 1 / 128, 8)

    def weights(self, *shape: int) -> str:
        return self.integer_weights(*shape, scale=0.1, bits=3)

    def norm(self, x: str, channels: int) -> str:
        numbers = (self.rng.uniform(0.5, 1.5, channels), *(self.rng.normal(size=channels) * 0.2 for _ in range(2)))
        return self.batch_norm(x, *numbers, 1.0, epsilon=1e-5)

    def stem(self, x: str = "") -> str:
        """A convolution of the image and its BatchNorm, real, [1, 4, 6, 6]."""
        return self.norm(self.conv(x or self.image(), self.weights(4, self.shape[1], 3, 3), pads=[1] * 4), 4)

    def classes(self, x: str, inputs: int = 144, outputs: int = 5) -> str:
        return self.node("MatMul", self.node("Flatten", x), self.weights(inputs, outputs))

    def bits(self, x: str) -> str:
        """A binary layer on x, [1, 4, 6, 6], and the classes."""
        x = self.conv(x, self.binary_weights(4, 4, 3, 3, scale=0.2), pads=[1] * 4)
        return self.classes(self.bipolar(self.norm(x, 4)))

    def save(self, path: Path, *outputs: str, opset: int = 14) -> Path:
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None) for output in outputs],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        imports = [helper.make_opsetid("", opset), helper.make_opsetid(QUANT_DOMAIN, 1)]
        onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), path)
        return path


def answers(path: Path, count: int = IMAGES):
    """Return the scores of the integers, the file's outputs, how many tensors became fixed point, and the nodes."""
    model = load_foreign(path)
    images = sample_images(image_shape(model), count)
    fixed, approximation = prepare(model, images, -1.0, 1.0)
    integer = to_integers(fixed)
    found = scores(Golden(integer).execute(images), score_steps(integer))
    expected = file_outputs(path, images, -1.0, 1.0)
    nodes = list(hardware_nodes(integer))
    return np.asarray(found, np.float64).reshape(expected.shape), expected, approximation.tensors, nodes


def near(path: Path):
    """Check the scores against the file's outputs; return the hardware nodes."""
    found, expected, tensors, nodes = answers(path)
    assert np.ptp(expected) > 0, "a network of one answer compares nothing"
    assert np.abs(found - expected).max() <= (CALIBRATED if tensors else EXACT) * np.ptp(expected)
    return nodes


def _self_gated(gate):
    return lambda g, x: g.node("Mul", x, gate(g, x))


CURVES = {
    "Relu": lambda g, x: g.node("Relu", x),
    "ReLU6": lambda g, x: g.node("Clip", x, 0.0, 6.0),
    "Hardtanh": lambda g, x: g.node("Clip", x, -1.0, 1.0),
    "LeakyRelu": lambda g, x: g.node("LeakyRelu", x, alpha=0.1),
    "PRelu": lambda g, x: g.node("PRelu", x, np.linspace(-0.1, 0.5, 4).reshape(4, 1, 1)),
    "Elu": lambda g, x: g.node("Elu", x),
    "Softplus": lambda g, x: g.node("Softplus", x),
    "Sigmoid": lambda g, x: g.node("Sigmoid", x),
    "Abs": lambda g, x: g.node("Abs", x),
    "HardSwish": lambda g, x: g.node("HardSwish", x),
    "HardSwish, in pieces": _self_gated(
        lambda g, x: g.node("Div", g.node("Clip", g.node("Add", x, 3.0), 0.0, 6.0), 6.0)
    ),
    "SiLU": _self_gated(lambda g, x: g.node("Sigmoid", x)),
    "Mish, in pieces": _self_gated(lambda g, x: g.node("Tanh", g.node("Softplus", x))),
    "Gelu, in pieces": _self_gated(
        lambda g, x: g.node("Mul", g.node("Add", g.node("Erf", g.node("Div", x, 1.414)), 1.0), 0.5)
    ),
    "LeakyRelu by Where": lambda g, x: g.node("Where", g.node("Greater", x, 0.0), x, g.node("Mul", x, 0.2)),
}


@pytest.mark.parametrize("bits", [2, 8])
@pytest.mark.parametrize("curve", CURVES)
def test_curves_in_front_of_a_quantizer(curve, bits, tmp_path):
    """No curve has a module of its own: those that there are do."""
    g = File(1, 2, 6, 6)
    x = g.quant(CURVES[curve](g, g.stem()), 4 / 2**bits, bits, signed=int(curve in ("Hardtanh", "LeakyRelu", "Abs")))
    nodes = near(g.save(tmp_path / "network.onnx", g.bits(x)))
    assert {node.op.rtl(*node.constants).module for node in nodes} <= MODULES


@pytest.mark.parametrize("kind", ["Gelu", "Mish"])
def test_curves_of_new_opsets(kind, tmp_path):
    g = File(1, 2, 6, 6)
    x = g.quant(g.node(kind, g.stem()), 0.25, 4)
    near(g.save(tmp_path / "network.onnx", g.bits(x), opset=20))


POOLS = {
    "3x3 of stride 1": ("MaxPool", {"kernel_shape": [3, 3], "pads": [1] * 4}),
    "dilated": ("MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 2]}),
    "rows only": ("MaxPool", {"kernel_shape": [1, 3], "strides": [1, 3]}),
    "mean of 3x3": ("AveragePool", {"kernel_shape": [3, 3], "strides": [3, 3]}),
    "mean with zeros around": ("AveragePool", {"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": 1}),
}


@pytest.mark.parametrize("bits", [1, 4])
@pytest.mark.parametrize("pool", POOLS)
def test_pools(pool, bits, tmp_path):
    """Pools of any window are one node, whatever they read."""
    g = File(1, 2, 6, 6)
    x = g.bipolar(g.stem()) if bits == 1 else g.quant(g.stem(), 0.25, bits)
    kind, attributes = POOLS[pool]
    x = g.node(kind, x, **attributes)
    elements = 4 * {"3x3 of stride 1": 36, "dilated": 16, "rows only": 12, "mean of 3x3": 4}.get(pool, 36)
    nodes = near(g.save(tmp_path / "network.onnx", g.classes(x, elements)))
    assert {node.op.rtl(*node.constants).module for node in nodes} <= {*MODULES, "reduce_window", "max_pool"}


SIGNS = {
    "Sign": lambda g, x: g.node("Sign", x),
    "Hardtanh, Sign": lambda g, x: g.node("Sign", g.node("Clip", x, -1.0, 1.0)),
    "Sign of Sign and a little": lambda g, x: g.node("Sign", g.node("Add", g.node("Sign", x), 0.1)),
    "Where of ones_like": lambda g, x: g.node(
        "Where", g.node("Greater", x, 0.0), *(s * np.ones((1, 4, 6, 6)) for s in (1, -1))
    ),
    "Where of Not": lambda g, x: g.node("Where", g.node("Not", g.node("Less", x, 0.0)), 1.0, -1.0),
    "Where, falling": lambda g, x: g.node("Where", g.node("Greater", x, 0.1), -1.0, 1.0),
    "0 and 1": lambda g, x: g.node("Where", g.node("Greater", x, 0.0), 1.0, 0.0),
    "2 * (x > 0) - 1": lambda g, x: g.node(
        "Sub", g.node("Mul", g.node("Cast", g.node("Greater", x, 0.0), to=1), 2.0), 1.0
    ),
    "over int32": lambda g, x: g.node("Cast", g.node("Cast", g.node("Greater", x, 0.0), to=6), to=1),
}


@pytest.mark.parametrize("sign", SIGNS)
def test_signs(sign, tmp_path):
    g = File(1, 2, 6, 6)
    near(g.save(tmp_path / "network.onnx", g.bits(SIGNS[sign](g, g.stem()))))


def _steps(g, x, scale):
    return g.node("Div", g.node("Round", g.node("Mul", x, scale)), scale)


def _integers(g, x, kind, zero, *clip):
    zero = g.constant(zero, kind)
    x = g.node("QuantizeLinear", x, 0.1, zero)
    x = g.node("Clip", x, *(g.constant(end, kind) for end in clip)) if clip else x
    return g.node("DequantizeLinear", x, 0.1, zero)


def _trunc(g, x):
    return g.node("Trunc", g.quant(x, 1 / 16, 8), 1 / 16, 0.0, 8.0, 4.0, domain=QUANT_DOMAIN, rounding_mode="FLOOR")


QUANTIZERS = {
    "DoReFa": lambda g, x: _steps(g, g.node("Clip", x, 0.0, 1.0), 15.0),
    "round, then clip": lambda g, x: g.node(
        "Mul", g.node("Clip", g.node("Round", g.node("Div", x, 0.25)), -8.0, 7.0), 0.25
    ),
    "floor of a half more": lambda g, x: g.node(
        "Floor", g.node("Add", g.node("Mul", g.node("Clip", x, 0.0, 1.0), 3.0), 0.5)
    ),
    "of tanh": lambda g, x: _steps(g, g.node("Tanh", x), 3.0),
    "QDQ": lambda g, x: _integers(g, x, np.int8, 0),
    "QDQ, zero point": lambda g, x: _integers(g, x, np.uint8, 100),
    "QCDQ": lambda g, x: _integers(g, x, np.int8, 0, -8, 7),
    "QDQ without zero points": lambda g, x: g.node(
        "DequantizeLinear", g.node("QuantizeLinear", g.node("Relu", x), 0.1), 0.1
    ),
    "Trunc": _trunc,
    "one quantizer after the other": lambda g, x: g.quant(g.quant(x, 0.1, 8), 0.5, 4),
}


@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_quantizers(quantizer, tmp_path):
    g = File(1, 2, 6, 6)
    near(g.save(tmp_path / "network.onnx", g.bits(QUANTIZERS[quantizer](g, g.stem()))))


WEIGHTS = {
    "ternary": lambda g: g.constant(g.rng.choice([-1.0, 0.0, 1.0], (4, 4, 3, 3))),
    "ternary, a scale an output": lambda g: g.constant(
        g.rng.choice([-1.0, 0.0, 1.0], (4, 4, 3, 3)) * g.rng.uniform(0.1, 0.5, (4, 1, 1, 1))
    ),
    "integers of 8 bits and a scale": lambda g: g.constant(g.rng.integers(-127, 128, (4, 4, 3, 3)) * 0.0123),
    "signs of reals": lambda g: g.node("Mul", g.node("Sign", g.rng.normal(size=(4, 4, 3, 3))), 0.2),
    "int8, a scale an output": lambda g: g.node(
        "DequantizeLinear",
        g.constant(g.rng.integers(-7, 8, (4, 4, 3, 3)), np.int8),
        g.rng.uniform(0.02, 0.06, 4),
        g.constant(np.zeros(4), np.int8),
        axis=0,
    ),
}


@pytest.mark.parametrize("weights", WEIGHTS)
def test_weights_that_are_constants(weights, tmp_path):
    g = File(1, 2, 6, 6)
    x = g.conv(g.quant(g.stem(), 0.25, 4), WEIGHTS[weights](g), pads=[1] * 4)
    near(g.save(tmp_path / "network.onnx", g.classes(g.bipolar(g.norm(x, 4)))))


def _signal(g, x):
    x = g.bipolar(g.norm(g.conv(x, g.weights(4, g.shape[1], 5), pads=[2, 2]), 4))
    x = g.node("MaxPool", x, kernel_shape=[2], strides=[2])
    x = g.quant(g.norm(g.conv(x, g.binary_weights(4, 4, 3, scale=0.2), strides=[2]), 4), 0.25, 4)
    return g.classes(g.node("ReduceMean", x, axes=[2], keepdims=0), 4)


def _rows_last(g, x):
    """What TensorFlow's exporter writes: NHWC everywhere, but around each convolution."""

    def conv(x, weights, **attributes):
        x = g.conv(g.node("Transpose", x, perm=[0, 3, 1, 2]), weights, **attributes)
        return g.node("Transpose", x, perm=[0, 2, 3, 1])

    x = g.node("Add", g.node("Mul", conv(x, g.weights(4, 3, 3, 3)), g.rng.uniform(0.5, 1, 4)), g.rng.normal(size=4))
    x = conv(g.bipolar(x), g.binary_weights(4, 4, 3, 3, scale=0.2), auto_pad="SAME_UPPER", strides=[2, 2])
    x = g.quant(g.node("Add", x, g.rng.normal(size=4)), 0.25, 4)
    return g.classes(g.node("ReduceMean", x, axes=[1, 2], keepdims=0), 4)


def _map_of_row(g, x):
    x = g.node("Reshape", x, g.constant([1, 1, 6, 6], np.int64))
    return g.classes(g.bipolar(g.norm(g.conv(x, g.weights(4, 1, 3, 3), pads=[1] * 4), 4)))


def _signal_of_row(g, x):
    x = g.node("Unsqueeze", x, g.constant([1], np.int64))
    return g.classes(g.bipolar(g.norm(g.conv(x, g.weights(4, 1, 3), pads=[1, 1]), 4)))


INPUTS = {
    "a row": ((1, 36), lambda g, x: g.classes(g.bipolar(g.norm(g.node("MatMul", x, g.weights(36, 8)), 8)), 8)),
    "a signal": ((1, 2, 20), _signal),
    "rows last": ((1, 6, 6, 3), _rows_last),
    "a row that becomes a map": ((1, 36), _map_of_row),
    "a row that becomes a signal": ((1, 36), _signal_of_row),
}


@pytest.mark.parametrize("entry", INPUTS)
def test_inputs(entry, tmp_path):
    shape, network = INPUTS[entry]
    g = File(*shape)
    near(g.save(tmp_path / "network.onnx", network(g, g.image())))


def test_an_input_without_an_axis_of_images(tmp_path):
    g = File(2, 6, 6)
    g.shape = (2, 6, 6)
    x = g.quant(g.node("Unsqueeze", "image", g.constant([0], np.int64)), 1 / 128, 8)
    x = g.bipolar(g.norm(g.conv(x, g.weights(4, 2, 3, 3), pads=[1] * 4), 4))
    near(g.save(tmp_path / "network.onnx", g.classes(x)))


def test_channels_of_pixels_are_normalised_each_in_its_way(tmp_path):
    g = File(1, 3, 6, 6)
    mean, deviation = (np.float32(numbers).reshape(1, 3, 1, 1) for numbers in ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6]))
    x = g.quant(g.node("Div", g.node("Sub", "image", mean), deviation), 1 / 32, 8)
    near(g.save(tmp_path / "network.onnx", g.classes(g.bipolar(g.stem(x)))))


@pytest.mark.parametrize("opset", [9, 10, 11, 13, 16, 18, 20, 22])
def test_opsets(opset, tmp_path):
    g = File(1, 2, 6, 6)
    x = g.quant(g.node("Relu", g.stem()), 0.5, 2, signed=0)
    x = g.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    near(g.save(tmp_path / "network.onnx", g.node("Dropout", g.classes(x, 36)), opset=opset))


def _index(kind, **attributes):
    return lambda g, x: g.node(kind, x, axis=1, **attributes)


TAILS = {
    "Softmax": _index("Softmax"),
    "Softmax of a temperature": lambda g, x: g.node("Softmax", g.node("Div", x, 2.0), axis=-1),
    "LogSoftmax": _index("LogSoftmax"),
    "Sigmoid": lambda g, x: g.node("Sigmoid", x),
    "Clip": lambda g, x: g.node("Clip", x, -1.0, 1.0),
    "Softplus": lambda g, x: g.node("Softplus", x),
    "Exp": lambda g, x: g.node("Exp", x),
    "BatchNormalization": lambda g, x: g.norm(x, 5),
    "a number a class": lambda g, x: g.node("Mul", x, np.linspace(-1, 2, 5)),
    "ArgMax": _index("ArgMax"),
    "ArgMax without its axis": _index("ArgMax", keepdims=0),
    "ArgMax as float": lambda g, x: g.node("Cast", g.node("ArgMax", x, axis=1), to=1),
    "ArgMin": _index("ArgMin"),
    "Hardmax": _index("Hardmax"),
    "TopK": lambda g, x: g.node("TopK", x, g.constant([2], np.int64), axis=1),
    "a Quant": lambda g, x: g.quant(x, 0.05, 8),
    "pairs of classes": lambda g, x: g.node("Softmax", g.node("Reshape", x, g.constant([1, 5, 1], np.int64)), axis=1),
}


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("tail", TAILS)
def test_scores_are_an_affine_function_a_class_and_the_tail(tail, binary, tmp_path):
    """The integers of the last layer tell everything: what follows it is computed from them alone."""
    g = File(1, 2, 6, 6)
    x = g.node("Flatten", g.bipolar(g.stem()))
    x = g.node("MatMul", x, g.binary_weights(144, 5, scale=0.1) if binary else g.weights(144, 5))
    path = g.save(tmp_path / "network.onnx", TAILS[tail](g, g.node("Add", x, 0.2 * g.rng.normal(size=5))))
    if tail == "TopK":
        proto = onnx.load(path)
        next(node for node in proto.graph.node if node.op_type == "TopK").output.append("indices")
        onnx.save(proto, path)
    near(path)


MAPS = {
    "a bias a class": lambda g, x: g.node("Add", x, np.linspace(-1, 1, 5).reshape(5, 1, 1)),
    "rows last": lambda g, x: g.node("Transpose", x, perm=[0, 2, 3, 1]),
    "Softmax of classes": lambda g, x: g.node("Softmax", x, axis=1),
    "a global mean": lambda g, x: g.node("Softmax", g.node("Flatten", g.node("GlobalAveragePool", g.node("Relu", x)))),
    "the global maximum": lambda g, x: g.node("Flatten", g.node("GlobalMaxPool", x)),
    "pixels in a row": lambda g, x: g.node("Reshape", x, g.constant([1, 5, 36], np.int64)),
}


@pytest.mark.parametrize("end", MAPS)
def test_networks_that_end_in_maps(end, tmp_path):
    g = File(1, 2, 6, 6)
    x = g.conv(g.bipolar(g.stem()), g.weights(5, 4, 3, 3), pads=[1] * 4)
    near(g.save(tmp_path / "network.onnx", MAPS[end](g, x)))


REFUSED = {
    "two streams multiplied": (
        lambda g, x: g.node("Mul", x, g.node("GlobalAveragePool", x)),
        "Mul_0",
        "multiplies two",
    ),
    "LayerNormalization": (
        lambda g, x: g.node("LayerNormalization", x, np.ones(6), np.zeros(6)),
        "LayerNormalization_0",
        "",
    ),
    "InstanceNormalization": (
        lambda g, x: g.node("InstanceNormalization", x, np.ones(4), np.zeros(4)),
        "InstanceNormalization_0",
        "depends on the image",
    ),
    "ConvTranspose": (lambda g, x: g.node("ConvTranspose", g.bipolar(x), g.weights(4, 4, 2, 2)), "ConvTranspose_0", ""),
    "bits of several scales": (
        lambda g, x: g.bipolar(x, np.linspace(1, 2, 4).reshape(1, 4, 1, 1)),
        "BipolarQuant_0",
        "4 scales",
    ),
    "a map added": (lambda g, x: g.node("Add", x, g.rng.normal(size=(1, 4, 6, 6))), "Add_0", "varies by position"),
    "real weights": (lambda g, x: g.conv(g.bipolar(x), g.rng.normal(size=(4, 4, 3, 3))), "Conv_1", "not quantized"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_names_the_node_of_the_file(what, tmp_path):
    network, name, reason = REFUSED[what]
    g = File(1, 2, 6, 6)
    x = network(g, g.stem())
    path = g.save(tmp_path / "network.onnx", g.node("Flatten", g.quant(x, 0.25, 4)), opset=17)
    try:
        refused = inspect_file(path, (-1.0, 1.0), None).refused
        text = " ".join(f"{row['name']} {row['reason']} {row['way']}" for row in refused)
    except FlowError as error:
        text = str(error)
    assert name in text and reason in text
