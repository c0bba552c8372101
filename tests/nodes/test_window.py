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


def geometry(height, width, kernel, stride, padding, pad_value):
    sizes = {"height": height, "width": width, "channels": 1, "kernel": kernel, "stride": stride}
    return Geometry(**sizes, padding=padding, pad_value=pad_value)


GEOMETRIES = st.builds(
    geometry,
    st.integers(3, 7),
    st.integers(3, 7),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(-1, 1),
)
CHANNELS = st.integers(1, 4)


def random_maps(g: Window, channels: int) -> np.ndarray:
    return np.random.default_rng(channels).integers(-100, 100, (2, g.height, g.width, channels))


def tap(g: Window, image: np.ndarray, y: int, x: int, channel: int) -> int:
    inside = 0 <= y < g.height and 0 <= x < g.width
    return int(image[y, x, channel]) if inside else g.pad_value


def window(g: Window, image: np.ndarray, top: int, left: int, order: str) -> list[int]:
    rows = columns = range(g.kernel)
    channels = range(image.shape[-1])
    places = {
        "tap": [(r, k, c) for r in rows for k in columns for c in channels],
        "row": [(r, k, c) for r in rows for c in channels for k in columns],
        "channel": [(r, k, c) for c in channels for r in rows for k in columns],
    }[order]
    return [tap(g, image, top + r, left + k, c) for r, k, c in places]


@FEW
@given(GEOMETRIES, CHANNELS, st.sampled_from(sorted(ORDERS)))
def test_equals_loops(g, channels, order):
    maps = random_maps(g, channels)
    tops = range(-g.padding, g.height + g.padding - g.kernel + 1, g.stride)
    lefts = range(-g.padding, g.width + g.padding - g.kernel + 1, g.stride)
    expected = [[[window(g, image, top, left, order) for left in lefts] for top in tops] for image in maps]
    assert (g.out_height, g.out_width, g.out_pixels) == (len(tops), len(lefts), len(tops) * len(lefts))
    windows = g.windows(maps, order)
    assert (windows.out_height, windows.out_width, windows.size) == (len(tops), len(lefts), g.kernel**2 * channels)
    np.testing.assert_array_equal(windows.elements(), expected)


@FEW
@given(GEOMETRIES, CHANNELS)
def test_channel_order_is_that_of_torch(g, channels):
    maps = random_maps(g, channels)
    images = torch.nn.functional.pad(
        torch.tensor(maps).permute(0, 3, 1, 2).double(), [g.padding] * 4, value=g.pad_value
    )
    unfolded = torch.nn.functional.unfold(images, g.kernel, stride=g.stride)  # [N, C*K*K, OH*OW]
    expected = unfolded.permute(0, 2, 1).reshape(2, g.out_height, g.out_width, -1)
    np.testing.assert_array_equal(g.windows(maps, "channel").elements(), expected.numpy())


@FEW
@given(GEOMETRIES, st.sampled_from([1, 3, 8, 16, 64]), st.sampled_from(sorted(ORDERS)))
def test_signs_are_the_bits_of_the_elements(g, channels, order):
    """Whole bytes of channels are gathered packed, whole words of them as such; the bits are the same."""
    windows = Windows(np.sign(random_maps(g, channels) + 0.5), g.kernel, g.stride, g.padding, g.pad_value, order)
    elements = windows.elements().reshape(-1, windows.size)
    np.testing.assert_array_equal(windows.signs(), np.packbits(elements > 0, axis=-1))


@FEW
@given(GEOMETRIES)
def test_outside_are_the_taps_that_are_padding(g):
    ones = np.ones((1, g.height, g.width, 1), int)
    padded = Windows(ones, g.kernel, g.stride, g.padding, 0)
    expected = padded.elements().reshape(-1, g.kernel**2) == 0
    np.testing.assert_array_equal(padded.outside(), expected)
    assert padded.masked == (g.padding > 0)


@pytest.mark.parametrize("order", ORDERS)
def test_one_tap_is_the_map(order):
    maps = random_maps(geometry(4, 5, 1, 1, 0, 0), 3)
    np.testing.assert_array_equal(geometry(4, 5, 1, 1, 0, 0).windows(maps, order).elements(), maps)
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
    g = geometry(4, 5, 3, 1, 0, 0)
    maps, weights = random_maps(g, 2), np.eye(18, dtype=int).reshape(18, 2, 3, 3)
    picked = g.windows(maps, order).elements() @ weight_rows(weights, order).T
    np.testing.assert_array_equal(picked, g.windows(maps, "channel").elements())


def test_taps_together():
    assert [taps_together(order, 3) for order in ("tap", "row", "channel")] == [1, 3, 9]
