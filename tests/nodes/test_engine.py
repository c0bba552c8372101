"""flow/nodes/engine.py: what the plan asks of engines: their foldings, and whether their weights may come from DDR."""

import numpy as np
import pytest

from flow.nodes import NodeError
from flow.nodes.cost import constants_cost
from tests.nodes.harness import hardware_op, random_signs

WINDOW = {"height": 4, "width": 4, "channels": 16, "bits": 1, "kernel": 3, "padding": 1, "pad_value": -1}


@pytest.mark.parametrize(
    ("changes", "absorbed"),
    [
        ({"order": "tap"}, True),
        ({"order": "row"}, False),
        ({"order": "channel"}, False),
        ({"order": "block", "block": 4}, False),
        ({"dilation": (2, 1), "padding": (2, 1)}, False),
        ({"kernel": (1, 9), "padding": (0, 4)}, False),
    ],
)
def test_from_ddr_computes_the_same(changes, absorbed):
    """With its window where that is square and in order of taps, on the windows as they are elsewhere."""
    window = hardware_op("SlidingWindow", **{**WINDOW, **changes}, p=36)
    engine = hardware_op("XnorPopcount", height=4, width=4, channels=144, features=16, pe=16, simd=36, threshold=2)
    if absorbed:
        engine = engine.variant(simd=16)
    streamed = engine.from_ddr(window)
    x, weights = random_signs(1, 3, 4, 4, 16), random_signs(2, 16, 144)
    assert engine.absorbs(window) == absorbed
    assert streamed.kind == "WeightStationary" and streamed.name == "node"
    taken = x if absorbed else window.evaluate(x)
    np.testing.assert_array_equal(streamed.evaluate(taken, weights), engine.evaluate(window.evaluate(x), weights))


def test_from_ddr_refuses():
    window = hardware_op("SlidingWindow", **{**WINDOW, "channels": 9}, p=9)
    engine = hardware_op("XnorPopcount", height=4, width=4, channels=81, features=4, pe=1, simd=9)
    message = "weights from DDR need pe * simd to divide 64 or be a multiple of it, not 9"
    assert engine.why_not_ddr(window).startswith(message)
    with pytest.raises(NodeError, match=f"^{message.replace('*', '.')}"):
        engine.from_ddr(window)


def test_zeros_of_windows_that_are_not_square_do_not_meet_weights_from_ddr():
    window = hardware_op("SlidingWindow", **{**WINDOW, "pad_value": 0, "dilation": (2, 1), "padding": (2, 1)}, p=16)
    engine = hardware_op("XnorPopcount", height=4, width=4, channels=144, features=16, pe=16, simd=16, masked=1)
    assert engine.why_not_ddr(window.variant(dilation=1, padding=1)) is None
    message = "its windows hold zeros outside the map, which it takes of square ones only: pad with -1 or [+]1"
    with pytest.raises(NodeError, match=f"^{message}$"):
        engine.from_ddr(window)


def test_foldings():
    """Groups keep whole groups or whole parts of them in a beat."""
    window = hardware_op("SlidingWindow", height=4, width=4, channels=12, bits=1, kernel=3, padding=1, pad_value=1)
    engine = hardware_op("XnorPopcount", height=4, width=4, channels=108, features=6)
    assert engine.simds(window) == [1, 2, 3, 4, 6, 12]
    assert engine.variant(group=3).simds(window) == [1, 3, 6, 12]
    assert engine.pes() == [1, 2, 3, 6]


def test_weights_of_one_window_come_from_ddr_as_fast_as_it_gives_them():
    window = hardware_op("SlidingWindow", kernel=1, channels=16)
    engine = hardware_op("IntConv", channels=16, features=4, pe=4)
    assert engine.variant(simd=2).from_ddr(window).cycles() == 2 * 8
    with pytest.raises(NodeError, match="^with 1 output pixels a word of weights has at most 64 bits, not 128: lower"):
        engine.variant(simd=4).from_ddr(window)


@pytest.mark.parametrize("depth", [1, 2, 8, 9, 256, 1024, 5000])
def test_constants_of_any_number_of_outputs_have_a_cost(depth):
    """No more than a bit of each by itself."""
    cost = constants_cost(depth, 24)
    assert 0 <= cost.lut <= 24 * -(-depth // 64) * 1.25 and 0 <= cost.ff <= 24
