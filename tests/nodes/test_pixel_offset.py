"""flow/nodes/pixel_offset.py, rtl/pixel_offset.sv and hls/pixel_offset.hpp."""

import numpy as np
from hypothesis import strategies as st

from flow.nodes import Cost, Stream
from tests.nodes.harness import SLOW, Case, NodeTests, any_shape, hardware_op


def case(p, size=(8, 8, 24), **options):
    height, width, channels = size
    return Case("PixelOffset", {"height": height, "width": width, "channels": channels, "p": p}, feed=pixels, **options)


def pixels(op, rng, frames, constants):
    """A frame of 0, one of 255, and every value there is room for."""
    x = rng.integers(0, 256, (frames, op.height, op.width, op.channels))
    x[0], x[1] = 0, 255
    every = x[2:].reshape(-1)[:256]
    every[:] = np.arange(len(every))
    return (x,)


class TestPixelOffset(NodeTests):
    latency = 1
    cases = [case(1), case(3), case(8), case(1, (16, 16, 1), rtl=SLOW), case(16, (4, 48, 16), rtl=SLOW)]

    @staticmethod
    def reference(op, streams, constants):
        """The same bytes with the top bit flipped, read as signed ones."""
        return (streams[0].astype(np.uint8) ^ 0x80).view(np.int8)


test_any_shape = any_shape(TestPixelOffset, st.builds(case, st.just(1), st.tuples(*[st.integers(1, 5)] * 3)))


def test_costs_nothing_and_makes_bytes_signed():
    op = hardware_op("PixelOffset", height=4, width=6, channels=3, p=3)
    assert op.inputs() == [Stream(4, 6, 3, 3, 8, signed=False)]
    assert op.outputs() == [Stream(4, 6, 3, 3, 8)]
    assert op.cost() == Cost()
