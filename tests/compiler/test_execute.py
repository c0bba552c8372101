"""Convolutions that are executed in float64, against onnxruntime's in float32."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from flow.execute import convolution


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"group": 4},
        {"group": 2, "pads": 1},
        {"strides": 2, "auto_pad": "SAME_UPPER"},
        {"strides": 3, "auto_pad": "SAME_LOWER"},
        {"strides": 3, "dilations": 2, "pads": 2},
        {"strides": 2, "auto_pad": "VALID"},
    ],
)
def test_convolution(attributes, dimensions):
    rng = np.random.default_rng(0)
    size, taps, groups = [11, 9][:dimensions], [3, 2][:dimensions], attributes.get("group", 1)
    values = {
        "x": rng.normal(size=(2, 4, *size)),
        "w": rng.normal(size=(8, 4 // groups, *taps)),
        "b": rng.normal(size=8),
    }
    values = {name: value.astype(np.float32) for name, value in values.items()}
    counts = {"pads": 2 * dimensions, "strides": dimensions, "dilations": dimensions}
    given = {name: [value] * counts[name] if name in counts else value for name, value in attributes.items()}
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], **given)
    tensors = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xwby"}
    graph = helper.make_graph([node], "conv", [tensors[name] for name in "xwb"], [tensors["y"]])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (expected,) = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, values)
    wide = {name: value.astype(np.float64) for name, value in values.items()}
    np.testing.assert_allclose(convolution(wide, node), expected, rtol=0, atol=1e-4)
