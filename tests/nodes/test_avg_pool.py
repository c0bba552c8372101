"""flow/nodes/avg_pool.py, rtl/avg_pool.sv and hls/avg_pool.hpp."""

import numpy as np

from flow.nodes import Stream
from flow.sim.module import RtlModule
from flow.sim.streams import to_beats
from tests.nodes.harness import SLOW, NodeTests, any_shape, hardware_op
from tests.nodes.pools import any_pool, pool_case


class TestAvgPool(NodeTests):
    cases = [
        pool_case("AvgPool", 8, 8, 64, 16, 10),
        pool_case("AvgPool", 4, 6, 6, 2, 5),
        pool_case("AvgPool", 2, 2, 4, 4, 8),
        pool_case("AvgPool", 2, 2, 1, 1, 8, rtl=SLOW),
        pool_case("AvgPool", 4, 6, 3, 3, 4, rtl=SLOW),
        pool_case("AvgPool", 6, 4, 8, 2, 16, rtl=SLOW),
        pool_case("AvgPool", 32, 32, 64, 8, 10, rtl=SLOW),
    ]
    latency = 1

    @staticmethod
    def reference(op, streams, constants):
        """Floor of a quarter of the sum."""
        corners = sum(streams[0][:, row::2, column::2] for row in (0, 1) for column in (0, 1))
        return np.floor(corners / 4).astype(int)


test_any_shape = any_shape(TestAvgPool, any_pool("AvgPool", 2))


def test_halves_the_map():
    assert hardware_op("AvgPool", height=4, width=6, channels=8, p=2, bits=9).outputs() == [Stream(2, 3, 8, 2, 9)]


def test_the_module_takes_elements_of_one_bit():
    """-1 and 0 in two's complement, which no stream of the flow carries."""
    x = -np.random.default_rng(1).integers(0, 2, (5, 6, 4, 3))
    expected = to_beats(x.reshape(5, 3, 2, 2, 2, 3).sum(axis=(2, 4)) >> 2, 1, 1)
    module = RtlModule("avg_pool", {"Height": 6, "Width": 4, "Channels": 3, "P": 1, "Bits": 1}, {"in": 1}, {"out": 1})
    for p_valid, p_ready in ((1.0, 1.0), (0.6, 0.6)):
        run = module.run({"in": to_beats(x, 1, 1)}, {"out": len(expected)}, p_valid=p_valid, p_ready=p_ready)
        assert run.outputs["out"] == expected
