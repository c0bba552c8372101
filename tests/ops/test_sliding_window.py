"""flow/ops/sliding_window.py: orders, masks and streams of the windows whose values test_window.py compares."""

import numpy as np
import pytest
import torch

from flow.ops.base import Stream, stream_datatype
from tests.ops.nodes import hardware_op, random_signs

ORDERS = {"tap": 1, "row": 3, "channel": 9}  # taps of a channel side by side, for a kernel of 3
# axes of torch's weights [O, C, KH, KW] in each order
WEIGHT_AXES = {"tap": (0, 2, 3, 1), "row": (0, 2, 1, 3), "channel": (0, 1, 2, 3)}


def sliding_window(order="tap", p=1, height=5, width=6, channels=4, bits=8, kernel=3, stride=1, padding=1, pad_value=0):
    return hardware_op(
        "SlidingWindow",
        height=height,
        width=width,
        channels=channels,
        bits=bits,
        p=p,
        kernel=kernel,
        stride=stride,
        padding=padding,
        pad_value=pad_value,
        order=order,
    )


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("stride", "padding"), [(1, 1), (2, 1), (1, 0), (2, 2)])
def test_convolution_equals_torch(order, stride, padding):
    """Zero padding: a product of windows and weights in the same order is torch's conv2d."""
    op = sliding_window(order, stride=stride, padding=padding, p=ORDERS[order])
    rng = np.random.default_rng(stride)
    x, weights = rng.integers(-128, 128, (2, 5, 6, 4)), rng.integers(-128, 128, (3, 4, 3, 3))
    images = torch.tensor(x).permute(0, 3, 1, 2).double()
    expected = torch.nn.functional.conv2d(images, torch.tensor(weights).double(), stride=stride, padding=padding)
    sums = op.evaluate(x) @ weights.transpose(WEIGHT_AXES[order]).reshape(3, -1).T
    np.testing.assert_array_equal(sums, expected.permute(0, 2, 3, 1).numpy())


@pytest.mark.parametrize(("order", "together"), ORDERS.items())
def test_a_beat_holds_whole_rows_of_taps(order, together):
    """With p elements a beat, a beat has p / together neighbouring channels, each with its taps: those of one input beat."""
    op = sliding_window(order, p=2 * together, padding=0)
    x = np.broadcast_to(np.arange(4), (1, 5, 6, 4))  # every element is the number of its channel
    (taken,), (given,) = op.inputs(), op.outputs()
    assert (taken.parallel, given.parallel) == (2, 2 * together)
    beats = op.evaluate(x).reshape(-1, given.parallel).tolist()
    blocks = [[channel for channel in pair for _ in range(together)] for pair in ([0, 1], [2, 3])]
    assert all(beat in blocks for beat in beats)
    assert len(beats) == given.beats
    assert op.cycles() == max(taken.beats, given.beats * together)


@pytest.mark.parametrize(
    ("bits", "padding", "pad_value", "masked"),
    [(1, 1, 0, True), (1, 1, -1, False), (1, 1, 1, False), (1, 0, 0, False), (8, 1, 0, False)],
)
def test_only_zeros_among_signs_are_masked(bits, padding, pad_value, masked):
    op = sliding_window(bits=bits, padding=padding, pad_value=pad_value, p=2)
    (stream,) = op.outputs()
    windows = op.evaluate(random_signs(1, 2, 5, 6, 4))
    assert stream == Stream(3 + 2 * padding, 4 + 2 * padding, 36, 2, bits, masked=masked)
    assert stream.beat_bits == 2 * bits + masked
    assert stream_datatype(stream).name == {True: "TERNARY", False: "BIPOLAR" if bits == 1 else "INT8"}[masked]
    assert (windows == 0).any() == (padding > 0 and pad_value == 0)


def test_a_masked_beat_is_0_as_a_whole_or_not_at_all():
    """In tap order all elements of a beat are of one tap, so a bit a beat tells where it lies."""
    op = sliding_window(bits=1, p=2)
    beats = op.evaluate(random_signs(1, 1, 5, 6, 4)).reshape(-1, op.p)
    assert set((beats == 0).sum(axis=1)) == {0, op.p}


def test_an_unknown_order_is_refused():
    with pytest.raises(ValueError, match="node: order 'raster' is none of tap, row, channel"):
        sliding_window("raster").inputs()


def test_a_single_tap_is_a_wire():
    assert sliding_window(kernel=1, padding=0).passes_through
    assert not sliding_window(kernel=1, padding=0, stride=2).passes_through
    assert not sliding_window().passes_through
