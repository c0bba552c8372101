"""flow/nodes/max_pool.py, rtl/max_pool.sv and hls/max_pool.hpp."""

import numpy as np
import pytest
import torch

from flow.nodes import Stream
from tests.nodes.harness import SLOW, NodeTests, any_shape, hardware_op, random_signs
from tests.nodes.pools import any_pool, pool_case
from tests.nodes.refusals import assert_header_refuses, assert_module_refuses


class TestMaxPool(NodeTests):
    cases = [
        pool_case("MaxPool", 8, 8, 64, 16, 10),
        pool_case("MaxPool", 4, 6, 6, 2, 5),
        pool_case("MaxPool", 2, 2, 4, 4, 8),
        pool_case("MaxPool", 6, 4, 3, 1, 2),
        pool_case("MaxPool", 4, 8, 96, 32, 1),
        pool_case("MaxPool", 6, 2, 5, 1, 1),
        pool_case("MaxPool", 2, 2, 1, 1, 8, rtl=SLOW),
        pool_case("MaxPool", 4, 6, 3, 3, 4, rtl=SLOW),
        pool_case("MaxPool", 6, 4, 8, 2, 16, rtl=SLOW),
        pool_case("MaxPool", 16, 16, 64, 8, 10, rtl=SLOW),
        pool_case("MaxPool", 8, 8, 128, 128, 1, rtl=SLOW),
    ]
    latency = 1

    @staticmethod
    def reference(op, streams, constants):
        images = torch.tensor(streams[0]).permute(0, 3, 1, 2).double()
        return torch.nn.functional.max_pool2d(images, 2).permute(0, 2, 3, 1).numpy()


test_any_shape = any_shape(TestMaxPool, any_pool("MaxPool", 1))


def test_of_signs_is_their_or():
    x = random_signs(1, 3, 8, 6, 5)
    results = hardware_op("MaxPool", bits=1).evaluate(x)
    assert results.shape == (3, 4, 3, 5)
    for (image, y, k, c), result in np.ndenumerate(results):
        window = [x[image, 2 * y + i, 2 * k + j, c] for i in (0, 1) for j in (0, 1)]
        assert result == (1 if any(sign == 1 for sign in window) else -1)


def test_halves_the_map():
    op = hardware_op("MaxPool", height=4, width=6, channels=8, p=2, bits=9)
    assert op.outputs() == [Stream(2, 3, 8, 2, 9)]
    assert op.cycles() == 4 * 6 * 4  # beats of the input
    assert op.lag() == (6 + 2) / 24  # a row and two pixels
    assert op.burst() == 3 * 8  # a row of its output


@pytest.mark.parametrize(
    ("size", "message"),
    [((4, 4, 6, 4), r"P \(4\) must divide Channels \(6\)"), ((4, 3, 4, 4), "4x3, both sides must be even")],
    ids=["P", "Width"],
)
def test_the_module_refuses(size, message):
    parameters = dict(zip(("Height", "Width", "Channels", "P"), size), Bits=8)
    assert_module_refuses(message, "max_pool", parameters, {"in": 32}, {"out": 32})


def test_the_header_refuses_odd_maps(tmp_path):
    message = "max_pool: Height and Width must be even"
    assert_header_refuses(message, "max_pool", (4, 3, 2, 2, 8), tmp_path, {"in": 16}, {"out": 16})
