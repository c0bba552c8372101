"""What every node of a network file computes, in numpy integers.

A function takes the node's attributes, its streams [N, H, W, C] and its constants, and gives one array, or a tuple of
two. Streams are of the narrowest type that holds them, constants as they stand in the file; each function widens what
its sums need. Signs are int8 -1 and +1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from .binary import BinaryLayer
from .integers import saturate, signs, wide
from .windows import Windows, as_map, as_windows

FLOAT32_EXACT = 1 << 24  # float32 holds every integer up to this magnitude


def pixel_offset(node, x):
    return (x.astype(np.int16) - np.int16(128)).astype(np.int8)


def pixel_table(node, x, table):
    return table[x]


def duplicate(node, x):
    return x, x


def add_streams(node, a, b):
    return saturate(np.add(a, b, dtype=wide(a, b)), node.bits)


def sign_threshold(node, x, threshold):
    return signs(x >= threshold)


def vote_select(node, vote, low, high):
    return np.where(vote > 0, high, low)


def rprelu(node, x, before, slope, after):
    kind = np.int32 if wide(x, before, after) is np.int32 and node.bits <= 16 else np.int64
    u = np.add(x, before, dtype=kind)
    return saturate(np.where(u >= 0, u, u >> slope.astype(kind)) + after.astype(kind), node.bits)


def prelu(node, x, step, down, down_offset, up, up_offset):
    above = x >= step
    factor, offset = (
        np.where(above, up, down).astype(np.int64),
        np.where(above, up_offset, down_offset).astype(np.int64),
    )
    return saturate((factor * x + offset) >> node.shift, node.out_bits)


def avg_pool(node, x):
    kind = wide(x)
    top, bottom = (np.add(row[:, :, ::2], row[:, :, 1::2], dtype=kind) for row in (x[:, ::2], x[:, 1::2]))
    return ((top + bottom) >> 2).astype(x.dtype)


def max_pool(node, x):
    rows = np.maximum(x[:, ::2], x[:, 1::2])
    return np.maximum(rows[:, :, ::2], rows[:, :, 1::2])


def global_pool(node, x):
    shift = (x.shape[1] * x.shape[2]).bit_length() - 1
    return x.sum(axis=(1, 2), keepdims=True, dtype=np.int64) >> shift


def repeat_channels(node, x):
    return np.concatenate([x] * node.times, axis=-1)


def sample(node, x):
    return x[..., :: node.ratio]


def sliding_window(node, x):
    return Windows(x, node.kernel, node.stride, node.padding, node.pad_value, node.order)


def int_conv(node, x, weights, bias, multiplier=None):
    windows = as_windows(x)
    largest = max(int(windows.map.max()), -int(windows.map.min()), abs(windows.pad_value))
    bound = largest * int(np.abs(weights.astype(np.int64)).sum(axis=1).max())
    kind = np.float32 if bound < FLOAT32_EXACT else np.float64
    factors = np.ascontiguousarray(weights.T, kind)
    outputs = []
    for part in windows.parts():
        elements = part.elements(kind)
        sums = (elements.reshape(-1, windows.size) @ factors).astype(np.int64)
        if multiplier is not None:
            sums *= multiplier
        sums += bias
        outputs.append(saturate(sums >> node.shift, node.out_bits).reshape(*elements.shape[:3], -1))
    return np.concatenate(outputs)


def weight_stationary(node, x, layer):
    if node.kernel == 1 and node.stride == 1 and node.padding == 0:  # windows that are its channels
        return layer(x)
    return layer(Windows(as_map(x), node.kernel, node.stride, node.padding, node.pad_value))


def xnor_popcount(node, x, layer):
    return layer(x)


def _as_they_are(node: SimpleNamespace, *constants: np.ndarray) -> tuple:
    return constants


def _binary_layer(node: SimpleNamespace, *constants: np.ndarray) -> tuple:
    return (BinaryLayer(node, *constants),)


@dataclass(frozen=True)
class Arithmetic:
    """A kind of node: its function, how many streams it takes, and what is made of its constants on loading."""

    function: Callable
    streams: int = 1
    prepare: Callable[..., tuple] = _as_they_are
    takes_windows: bool = False


ARITHMETIC = {
    "AddStreams": Arithmetic(add_streams, streams=2),
    "AvgPool": Arithmetic(avg_pool),
    "Duplicate": Arithmetic(duplicate, takes_windows=True),
    "GlobalPool": Arithmetic(global_pool),
    "IntConv": Arithmetic(int_conv, takes_windows=True),
    "MaxPool": Arithmetic(max_pool),
    "PReLU": Arithmetic(prelu),
    "PixelOffset": Arithmetic(pixel_offset),
    "PixelTable": Arithmetic(pixel_table),
    "RPReLU": Arithmetic(rprelu),
    "RepeatChannels": Arithmetic(repeat_channels),
    "Sample": Arithmetic(sample),
    "SignThreshold": Arithmetic(sign_threshold),
    "SlidingWindow": Arithmetic(sliding_window),
    "VoteSelect": Arithmetic(vote_select),
    "WeightStationary": Arithmetic(weight_stationary, prepare=_binary_layer, takes_windows=True),
    "XnorPopcount": Arithmetic(xnor_popcount, prepare=_binary_layer, takes_windows=True),
}
