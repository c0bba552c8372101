"""What the tests of the nodes' semantics share, and those of the modules and headers that must equal them."""

import numpy as np
from onnx import helper
from qonnx.custom_op.registry import getCustomOp

from flow.ops import DOMAIN, HardwareOp


def hardware_op(kind: str, **attributes) -> HardwareOp:
    """The node ``kind`` by itself, on a map of one pixel and one channel unless ``attributes`` say otherwise."""
    attributes = {"height": 1, "width": 1, "channels": 1, **attributes}
    return getCustomOp(helper.make_node(kind, ["x"], ["y"], name="node", domain=DOMAIN, **attributes))


def random_signs(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).choice([-1, 1], shape)
