"""flow/ops/window.py against loops over single taps, and against torch."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.ops.window import ORDERS, Window

FEW = settings(max_examples=40, deadline=None)


@dataclass
class Geometry(Window):
    height: int
    width: int
    kernel: int
    stride: int
    padding: int
    pad_value: int


GEOMETRIES = st.builds(
    Geometry,
    st.integers(3, 7),
    st.integers(3, 7),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(-1, 1),
)
CHANNELS = st.integers(1, 4)


def random_maps(g: Geometry, channels: int) -> np.ndarray:
    return np.random.default_rng(channels).integers(-100, 100, (2, g.height, g.width, channels))


def tap(g: Geometry, image: np.ndarray, y: int, x: int, channel: int) -> int:
    inside = 0 <= y < g.height and 0 <= x < g.width
    return int(image[y, x, channel]) if inside else g.pad_value


def window(g: Geometry, image: np.ndarray, top: int, left: int, order: str) -> list[int]:
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
    np.testing.assert_array_equal(g.windows(maps, order), expected)


@FEW
@given(GEOMETRIES, CHANNELS)
def test_channel_order_is_that_of_torch(g, channels):
    maps = random_maps(g, channels)
    images = torch.nn.functional.pad(
        torch.tensor(maps).permute(0, 3, 1, 2).double(), [g.padding] * 4, value=g.pad_value
    )
    unfolded = torch.nn.functional.unfold(images, g.kernel, stride=g.stride)  # [N, C*K*K, OH*OW]
    expected = unfolded.permute(0, 2, 1).reshape(2, g.out_height, g.out_width, -1)
    np.testing.assert_array_equal(g.windows(maps, "channel"), expected.numpy())


@pytest.mark.parametrize("order", ORDERS)
def test_one_tap_is_the_map(order):
    g = Geometry(4, 5, kernel=1, stride=1, padding=0, pad_value=0)
    maps = random_maps(g, 3)
    np.testing.assert_array_equal(g.windows(maps, order), maps)
