"""Small QONNX graphs for the tests of the passes, and the checks that all of them make.

Written with onnx.helper, so that a test makes its graph in milliseconds and shows every node in it.
"""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_shapes import InferShapes

from flow.custom_op import DOMAIN
from flow.execute import execute_graph
from flow.graph import hardware_nodes
from flow.passes import PassError, run_pass
from flow.passes.finish import RequireIntegers

QUANT_DOMAIN = "qonnx.custom_op.general"
LAST_PLACE = 1e-6  # multiples of a scale that is no power of two: the graph rounds them to float32, FromStream does not
IMAGES = 6


class QonnxGraph:
    """A graph on pixels "image" [1, channels, height, width], made node by node.

    Every method adds a node (and the constants that it reads) and returns the name of its output. Nodes are named
    ``<Kind>_<index>``, counted for each kind, so that a test can name the node that it expects in a message.
    """

    def __init__(self, channels: int = 4, height: int = 4, width: int | None = None, seed: int = 0):
        self.rng = np.random.default_rng(seed)
        self.channels, self.height, self.width = channels, height, width or height
        self.nodes, self.constants, self.counts = [], {}, {}

    # nodes

    def constant(self, value, dtype=np.float32) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants[name] = np.asarray(value, dtype)
        return name

    def node(self, kind: str, *inputs, domain: str = "", **attributes) -> str:
        """Add any node. Inputs that are no names are constants."""
        index = self.counts[kind] = self.counts.get(kind, -1) + 1
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        output = f"{kind}_{index}_out"
        self.nodes.append(helper.make_node(kind, names, [output], name=f"{kind}_{index}", domain=domain, **attributes))
        return output

    def quant(self, x, scale=0.25, bits=5, signed=1, narrow=0, rounding="ROUND", zero=0.0) -> str:
        return self.node(
            "Quant", x, scale, zero, bits, domain=QUANT_DOMAIN, signed=signed, narrow=narrow, rounding_mode=rounding
        )

    def bipolar(self, x, scale=1.0) -> str:
        return self.node("BipolarQuant", x, scale, domain=QUANT_DOMAIN)

    def batch_norm(self, x, scale, bias=0.0, mean=0.0, var=1.0, epsilon=0.0) -> str:
        """Add a BatchNormalization; a number stands for all channels that ``scale`` has."""
        scale = np.atleast_1d(np.asarray(scale, np.float32))
        others = [np.broadcast_to(np.asarray(value, np.float32), scale.shape) for value in (bias, mean, var)]
        return self.node("BatchNormalization", x, scale, *others, epsilon=epsilon)

    def pad(self, x, value=0.0, pads=(0, 0, 1, 1, 0, 0, 1, 1), mode="constant") -> str:
        return self.node("Pad", x, self.constant(pads, np.int64), value, mode=mode)

    def conv(self, x, weights, *bias, **attributes) -> str:
        return self.node("Conv", x, weights, *bias, **attributes)

    # pieces

    def integers(self, bits=5, scale=0.25, signed=1, narrow=0) -> str:
        """Put the image on a fixed-point grid, which it fills and exceeds by a fifth."""
        reach = 1.2 * scale * (1 << bits) / 256
        centred = self.node("Sub", "image", 127.5) if signed else "image"
        return self.quant(self.node("Mul", centred, reach), scale, bits, signed, narrow)

    def signs(self, scale=1.0) -> str:
        """Turn the image into -scale and +scale."""
        return self.bipolar(self.node("Sub", "image", 127.5), scale)

    def binary_weights(self, *shape: int, scale=1.0) -> str:
        """Add random signs behind their quantizer."""
        return self.bipolar(self.rng.choice([-1.0, 1.0], shape), scale)

    def integer_weights(self, *shape: int, scale=0.125, bits=4, **quant) -> str:
        """Add random weights on all integers of ``bits`` bits but the least, behind their quantizer."""
        reach = (1 << (bits - 1)) - 1
        values = self.rng.integers(-reach, reach + 1, shape) * np.asarray(scale)
        return self.quant(values, scale, bits, narrow=1, **quant)

    def binary_conv(self, x, outputs=4, kernel=3, pad: float | None = -1.0, scale=1.0, bias=(), **attributes) -> str:
        """Add a convolution with random signs as weights, behind a Pad of one pixel with ``pad`` (None: without)."""
        channels = attributes.pop("channels", self.channels)
        padded = x if pad is None else self.pad(x, pad)
        return self.conv(
            padded, self.binary_weights(outputs, channels, kernel, kernel, scale=scale), *bias, **attributes
        )

    def model(self, output: str) -> ModelWrapper:
        """Return the graph that ends in ``output``, with the shapes of all its tensors."""
        shape = [1, self.channels, self.height, self.width]
        graph = helper.make_graph(
            self.nodes,
            "small",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        )
        opsets = [helper.make_opsetid("", 14), helper.make_opsetid(QUANT_DOMAIN, 1), helper.make_opsetid(DOMAIN, 1)]
        model = ModelWrapper(helper.make_model(graph, opset_imports=opsets, ir_version=8))
        for name, value in self.constants.items():
            model.set_initializer(name, value)
        return model.transform(InferShapes())


def random_images(model: ModelWrapper, count: int = IMAGES, seed: int = 1) -> np.ndarray:
    """Return images uint8 [count, H, W, C] for ``model``, whose input is real [1, C, H, W]."""
    _, channels, height, width = model.get_tensor_shape(model.graph.input[0].name)
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, channels)).astype(np.uint8)


def applied(model: ModelWrapper, *rewrites, tolerance: float = 0.0) -> ModelWrapper:
    """Return a copy of ``model`` after the passes, whose outputs on random images are compared after each of them.

    They must be equal, or at most ``tolerance`` apart: LAST_PLACE, or one step where a pass states an approximation.
    """
    images = random_images(model)
    before = execute_graph(model, images)
    assert len(np.unique(before)) > 1, "a graph of one value compares nothing"
    model = copy.deepcopy(model)
    for rewrite in rewrites:
        model = run_pass(model, rewrite)
        after = execute_graph(model, images)
        np.testing.assert_allclose(after, before, rtol=0, atol=tolerance, err_msg=rewrite.__name__)
    return model


def kinds(model: ModelWrapper) -> list[str]:
    """Return the kinds of the hardware nodes, in topological order."""
    return [node.kind for node in hardware_nodes(model)]


def only(model: ModelWrapper, kind: str):
    """Return the one hardware node of its kind."""
    (node,) = (node for node in hardware_nodes(model) if node.kind == kind)
    return node


def node_types(model: ModelWrapper) -> list[str]:
    """Return the types of all nodes, hardware or not."""
    return [node.op_type for node in model.graph.node]


def assert_refused(model: ModelWrapper, rewrite, match: str) -> None:
    """Check that the pass leaves the graph as it is, and that RequireIntegers then says why, by ``match``."""
    nodes = [node.SerializeToString() for node in model.graph.node]
    refused = run_pass(copy.deepcopy(model), rewrite)
    assert [node.SerializeToString() for node in refused.graph.node] == nodes
    with pytest.raises(PassError, match=match):
        run_pass(refused, RequireIntegers)
    with pytest.raises(PassError) as plain:
        run_pass(copy.deepcopy(model), RequireIntegers)
    assert not re.search(match, str(plain.value)), "the list says so without the pass"
