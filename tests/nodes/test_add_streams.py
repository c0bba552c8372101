"""flow/nodes/add_streams.py, rtl/add_streams.sv and hls/add_streams.hpp."""

from hypothesis import strategies as st

from tests.nodes.harness import SLOW, Case, NodeTests, any_shape, draw_stream
from tests.nodes.refusals import assert_header_refuses


def case(p, bits, size=(6, 5, 32), **options):
    height, width, channels = size
    attributes = {"height": height, "width": width, "channels": channels, "p": p, "bits": bits}
    return Case("AddStreams", attributes, feed=ends, **options)


def ends(op, rng, frames, constants):
    """Both streams anywhere, but for sums of the ends, of those and of what just saturates, in the first channel."""
    a, b = (draw_stream(stream, rng, frames) for stream in op.inputs())
    low, high = op.inputs()[0].range
    pairs = [(high, high), (high, 1), (high, low), (high, 0), (low, low), (low, -1)]
    for index, pair in enumerate(pairs[: op.pixels]):
        row, column = divmod(index, op.width)
        a[-1, row, column, 0], b[-1, row, column, 0] = pair
    return a, b


class TestAddStreams(NodeTests):
    cases = [
        case(1, 8),
        case(4, 10),
        case(16, 5),
        case(2, 2),
        case(1, 2, (4, 5, 1), rtl=SLOW),
        case(8, 8, rtl=SLOW),
        case(8, 10, (32, 16, 8), rtl=SLOW),
        case(2, 31, rtl=SLOW),
    ]
    latency = 1

    @staticmethod
    def reference(op, streams, constants):
        low, high = -(2 ** (op.bits - 1)), 2 ** (op.bits - 1) - 1
        return (streams[0] + streams[1]).clip(low, high)


test_any_shape = any_shape(
    TestAddStreams, st.builds(case, st.just(1), st.integers(2, 24), st.tuples(*[st.integers(1, 4)] * 3))
)


def test_the_header_takes_31_bits_at_most(tmp_path):
    message = "add_streams: at most 31 bits an element"
    assert_header_refuses(message, "add_streams", (1, 32, 4), tmp_path, {"a": 32, "b": 32}, {"out": 32})
