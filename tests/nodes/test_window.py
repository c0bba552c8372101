"""flow/nodes/window.py and flow/nodes/windows.py against loops over single taps, and against torch."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.nodes.window import Window, taps_together, weight_rows
from flow.nodes.windows import ELEMENTS, ORDERS, Windows, as_map, as_windows

FEW = settings(max_examples=40, deadline=None)


@dataclass(kw_only=True)
class Geometry(Window):
    """Windows and nothing else."""


def geometry(height, width, kernel, stride, padding, dilation, pad_value):
    sizes = {"height": height, "width": width, "channels": 1, "kernel": kernel, "stride": stride}
    return Geometry(**sizes, padding=padding, dilation=dilation, pad_value=pad_value)


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


PADS = st.integers(0, 2)
GEOMETRIES = st.builds(
    geometry,
    st.integers(5, 8),
    st.integers(5, 8),
    pairs(1, 3),
    pairs(1, 3),
    st.tuples(PADS, PADS, PADS, PADS),
    pairs(1, 2),
    st.integers(-1, 1),
)
CHANNELS = st.integers(1, 4)


def random_maps(g: Window, channels: int) -> np.ndarray:
    return np.random.default_rng(channels).integers(-100, 100, (2, g.height, g.width, channels))


def tap(g: Window, image: np.ndarray, y: int, x: int, channel: int) -> int:
    inside = 0 <= y < g.height and 0 <= x < g.width
    return int(image[y, x, channel]) if inside else g.pad_value


def window(g: Window, image: np.ndarray, top: int, left: int, order: str, block: int) -> list[int]:
    rows, columns, channels = (range(size) for size in (*g.kernel, image.shape[-1]))
    blocks = [range(first, first + block) for first in range(0, image.shape[-1], block)]
    places = {
        "tap": [(r, k, c) for r in rows for k in columns for c in channels],
        "row": [(r, k, c) for r in rows for c in channels for k in columns],
        "channel": [(r, k, c) for c in channels for r in rows for k in columns],
        "block": [(r, k, c) for b in blocks for r in rows for k in columns for c in b],
    }[order]
    return [tap(g, image, top + r * g.dilation[0], left + k * g.dilation[1], c) for r, k, c in places]


@FEW
@given(GEOMETRIES, st.integers(1, 2), st.integers(1, 2), st.sampled_from(sorted(ORDERS)))
def test_equals_loops(g, block, blocks, order):
    maps = random_maps(g, block * blocks)
    (top, left, bottom, right), (rows, columns) = g.padding, g.reach
    tops = range(-top, g.height + bottom - rows + 1, g.stride[0])
    lefts = range(-left, g.width + right - columns + 1, g.stride[1])
    expected = [[[window(g, image, y, x, order, block) for x in lefts] for y in tops] for image in maps]
    assert (g.out_height, g.out_width, g.out_pixels) == (len(tops), len(lefts), len(tops) * len(lefts))
    windows = g.windows(maps, order, block)
    assert (windows.out_height, windows.out_width, windows.size) == (len(tops), len(lefts), g.taps * block * blocks)
    np.testing.assert_array_equal(windows.elements(), expected)


def padded(g, maps):
    """The maps [N, C, H, W] as torch takes them."""
    top, left, bottom, right = g.padding
    images = torch.tensor(maps).permute(0, 3, 1, 2).double()
    return torch.nn.functional.pad(images, (left, right, top, bottom), value=g.pad_value)


@FEW
@given(GEOMETRIES, CHANNELS)
def test_channel_order_is_that_of_torch(g, channels):
    maps = random_maps(g, channels)
    unfolded = torch.nn.functional.unfold(padded(g, maps), g.kernel, g.dilation, stride=g.stride)  # [N, C*K*K, OH*OW]
    expected = unfolded.permute(0, 2, 1).reshape(2, g.out_height, g.out_width, -1)
    np.testing.assert_array_equal(g.windows(maps, "channel").elements(), expected.numpy())


@FEW
@given(GEOMETRIES, CHANNELS, st.sampled_from(sorted(ORDERS)))
def test_convolution_equals_torch(g, channels, order):
    """A product of windows and weights in the same order is torch's conv2d."""
    maps = random_maps(g, channels)
    weights = np.random.default_rng(1).integers(-9, 9, (3, channels, *g.kernel))
    expected = torch.nn.functional.conv2d(
        padded(g, maps), torch.tensor(weights).double(), stride=g.stride, dilation=g.dilation
    )
    block = 2 if channels % 2 == 0 else 1
    sums = g.windows(maps, order, block).elements() @ weight_rows(weights, order, block).T
    np.testing.assert_array_equal(sums, expected.permute(0, 2, 3, 1).numpy())


@FEW
@given(GEOMETRIES, st.sampled_from([1, 3, 8, 16, 64]), st.sampled_from(sorted(ORDERS)))
def test_signs_are_the_bits_of_the_elements(g, channels, order):
    """Whole bytes of channels are gathered packed, whole words of them as such; the bits are the same."""
    maps = np.sign(random_maps(g, channels) + 0.5)
    windows = g.windows(maps, order, 4 if channels % 4 == 0 else 1)
    elements = windows.elements().reshape(-1, windows.size)
    np.testing.assert_array_equal(windows.signs(), np.packbits(elements > 0, axis=-1))


@FEW
@given(GEOMETRIES, CHANNELS, st.sampled_from(sorted(ORDERS)))
def test_taps_of_elements(g, channels, order):
    """A map whose channels are all 1 at one tap has 1 where elements are of that tap."""
    windows = g.windows(random_maps(g, channels), order)
    for number, (row, column) in enumerate(np.ndindex(*g.kernel)):
        weights = np.zeros((1, channels, *g.kernel), int)
        weights[:, :, row, column] = 1
        np.testing.assert_array_equal(windows.tap_of_elements() == number, weight_rows(weights, order)[0] == 1)


@FEW
@given(GEOMETRIES)
def test_outside_are_the_taps_that_are_padding(g):
    zeros = Geometry(**{**g.values(), "pad_value": 0})
    windows = zeros.windows(np.ones((1, g.height, g.width, 1), int))
    np.testing.assert_array_equal(windows.outside(), windows.elements().reshape(-1, g.taps) == 0)
    assert windows.masked == any(g.padding)


@pytest.mark.parametrize("order", ORDERS)
def test_one_tap_is_the_map(order):
    maps = random_maps(geometry(4, 5, 1, 1, 0, 1, 0), 3)
    np.testing.assert_array_equal(geometry(4, 5, 1, 1, 0, 1, 0).windows(maps, order).elements(), maps)
    assert as_windows(maps).map is maps and as_map(maps) is maps
    np.testing.assert_array_equal(as_map(as_windows(maps)), maps)


def test_parts_are_small_and_together_the_whole():
    windows = Windows(np.arange(9 * 32 * 32 * 64).reshape(9, 32, 32, 64), 3, 1, 1, -1)
    parts = list(windows.parts())
    assert len(parts) > 1
    assert all(len(part.map) * 32 * 32 * windows.size <= ELEMENTS for part in parts)
    np.testing.assert_array_equal(np.concatenate([part.elements() for part in parts]), windows.elements())


@pytest.mark.parametrize("order", ORDERS)
def test_weight_rows_meet_the_elements_of_a_window(order):
    """Weights that are 1 at one place pick the same place of a window."""
    g = geometry(4, 5, 3, 1, 0, 1, 0)
    maps, weights = random_maps(g, 2), np.eye(18, dtype=int).reshape(18, 2, 3, 3)
    picked = g.windows(maps, order).elements() @ weight_rows(weights, order).T
    np.testing.assert_array_equal(picked, g.windows(maps, "channel").elements())


def test_taps_together():
    assert [taps_together(order, 3) for order in ("tap", "row", "channel", "block")] == [1, 3, 9, 1]
    assert [taps_together(order, (2, 5)) for order in ("tap", "row", "channel", "block")] == [1, 5, 10, 1]


def test_one_number_stands_for_all_sides():
    g = geometry(4, 5, 3, 2, 1, 1, 0)
    assert (g.kernel, g.stride, g.padding, g.dilation) == ((3, 3), (2, 2), (1, 1, 1, 1), (1, 1))
    assert g.square and not Geometry(**{**g.values(), "padding": (1, 1, 1, 0)}).square
    assert Geometry(**{**g.values(), "padding": [1, 2]}).padding == (1, 2, 1, 2)
    windows = Windows(random_maps(g, 1), [3, 3], 2, [1, 1, 1, 1])
    assert (windows.kernel, windows.stride, windows.padding) == (g.kernel, g.stride, g.padding)
