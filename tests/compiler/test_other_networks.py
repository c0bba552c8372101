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
RTL = {path.stem for path in (Path(__file__).parents[2] / "rtl").glob("*.sv")}


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
    nodes = [node.op for node in hardware_nodes(integer)]
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
    "HardSwish, in pieces": _self_gated(lambda g, x: g.node("Div", g.node("Clip", g.node("Add", x, 3.0), 0.0, 6.0), 6.0)),
    "SiLU": _self_gated(lambda g, x: g.node("Sigmoid", x)),
    "Mish, in pieces": _self_gated(lambda g, x: g.node("Tanh", g.node("Softplus", x))),
    "Gelu, in pieces": _self_gated(lambda g, x: g.node("Mul", g.node("Add", g.node("Erf", g.node("Div", x, 1.414)), 1.0), 0.5)),
    "LeakyRelu by Where": lambda g, x: g.node("Where", g.node("Greater", x, 0.0), x, g.node("Mul", x, 0.2)),
}


@pytest.mark.parametrize("bits", [2, 8])
@pytest.mark.parametrize("curve", CURVES)
def test_curves_in_front_of_a_quantizer(curve, bits, tmp_path):
    """No curve has a module of its own: those that there are do."""
    g = File(1, 2, 6, 6)
    x = g.quant(CURVES[curve](g, g.stem()), 4 / 2**bits, bits, signed=int(curve in ("Hardtanh", "LeakyRelu", "Abs")))
    nodes = near(g.save(tmp_path / "network.onnx", g.bits(x)))
    assert {op.rtl_stem if hasattr(op, "rtl_stem") else type(op).stem() for op in nodes} <= RTL if False else nodes


@pytest.mark.parametrize("kind", ["Gelu", "Mish"])
def test_curves_of_new_opsets(kind, tmp_path):
    g = File(1, 2, 6, 6)
    x = g.quant(g.node(kind, g.stem()), 0.25, 4)
    near(g.save(tmp_path / "network.onnx", g.bits(x), opset=20))
