"""From a hardware node to the instance of its RTL module: parameters, constant memories and stream ports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from flow.emit.memory_files import bias_words, int_weight_words, popcount_weight_words
from flow.errors import FlowError
from flow.graph import Node
from flow.ops.votes import least_matches


@dataclass(frozen=True)
class Memory:
    """A $readmemh file: the parameter that names it, its name's suffix behind the node's, its words and their width."""

    parameter: str
    suffix: str
    words: list[int]
    width: int


@dataclass(frozen=True)
class Cell:
    """The module of a node with its parameters and memories.

    ``extend``: bits by which every input element is sign-extended in front of the module.
    """

    module: str
    parameters: dict[str, int | str] = field(default_factory=dict)
    memories: tuple[Memory, ...] = ()
    extend: int = 0


def cell_of(node: Node) -> Cell:
    """The module instance for ``node``.

    Raises:
        FlowError: there is no such module, or it does not do what the attributes ask for.
    """
    if node.kind not in _CELLS:
        raise FlowError(f"{node.name}: no RTL module for {node.kind}: RTL has {', '.join(sorted(_CELLS))}")
    return _CELLS[node.kind](node)


def input_ports(node: Node) -> tuple[str, ...]:
    return ("a", "b") if node.kind == "AddStreams" else ("in",)


def output_ports(node: Node) -> tuple[str, ...]:
    return ("out0", "out1") if node.kind == "Duplicate" else ("out",)


def _add_streams(node):
    return Cell("add_streams", {"P": node.op.p, "Bits": node.op.bits})


def _avg_pool(node):
    op = node.op
    return Cell("avg_pool", {"Height": op.height, "Width": op.width, "Channels": op.channels, "P": op.p, "Bits": op.bits})


def _duplicate(node):
    return Cell("duplicate", {"Width": node.op.inputs()[0].beat_bits})


def _fifo(node):
    op = node.op
    return Cell("fifo", {"Width": op.inputs()[0].beat_bits, "Depth": op.depth, "MemoryStyle": op.memory})


def _global_pool(node):
    op = node.op
    return Cell("global_pool", {"Pixels": op.pixels, "Channels": op.channels, "P": op.p, "Bits": op.bits})


def _int_conv(node):
    op, (weights, bias) = node.op, node.constants
    parameters = {
        "Inputs": op.channels, "Outputs": op.features, "Pe": op.pe, "Simd": op.simd, "InBits": op.bits,
        "WeightBits": op.weight_bits, "OutBits": op.out_bits, "AccBits": op.acc_bits, "Shift": op.shift, "MemoryStyle": op.memory,
    }  # fmt: skip
    words = int_weight_words(weights, op.pe, op.simd, op.weight_bits)
    return Cell("int_conv", parameters, (
        Memory("WeightFile", "weights", words, op.pe * op.simd * op.weight_bits),
        Memory("BiasFile", "biases", bias_words(bias, op.pe, op.acc_bits), op.pe * op.acc_bits),
    ))  # fmt: skip


def _pixel_offset(node):
    return Cell("pixel_offset", {"P": node.op.p})


def _sign_threshold(node):
    """The module holds thresholds on the bits of its elements. The one that is never reached, 2^(bits - 1), needs a bit more."""
    op, (threshold,) = node.op, node.constants
    extend = int(threshold.max() >= 1 << op.bits - 1)
    bits = op.bits + extend
    memory = Memory("ThresholdFile", "thresholds", bias_words(threshold, op.p, bits), op.p * bits)
    return Cell("sign_threshold", {"Channels": op.channels, "P": op.p, "Bits": bits}, (memory,), extend)


def _sliding_window(node):
    op = node.op
    pad = int(op.pad_value > 0) if op.bits == 1 else op.pad_value & ((1 << op.bits) - 1)
    return Cell("sliding_window", {
        "Height": op.height, "Width": op.width, "Channels": op.channels, "Kernel": op.kernel, "Stride": op.stride,
        "Padding": op.padding, "P": op.p, "Bits": op.bits, "PadValue": pad, "MemoryStyle": op.memory,
    })  # fmt: skip


def _vote_select(node):
    op, (low, high) = node.op, node.constants
    pairs = bias_words(np.stack([low, high], axis=1).ravel(), 2 * op.p, op.bits)  # high in the upper half of a pair
    memory = Memory("TableFile", "table", pairs, 2 * op.p * op.bits)
    return Cell("vote_select", {"Channels": op.channels, "P": op.p, "Bits": op.bits}, (memory,))


def _weight_stationary(node):
    op = node.op
    return Cell("weight_stationary", {
        "Height": op.height, "Width": op.width, "Channels": op.channels, "Outputs": op.features, "Kernel": op.kernel,
        "Stride": op.stride, "Padding": op.padding, "Pe": op.pe, "Simd": op.simd,
        "Threshold": least_matches(op.window, op.threshold), "MemoryStyle": "distributed",
    })  # fmt: skip


def _width_converter(node):
    op = node.op
    return Cell("width_converter", {"InElements": op.p, "OutElements": op.out_p, "Bits": op.bits})


def _xnor_popcount(node):
    op = node.op
    if op.activation != "majority_vote":
        raise FlowError(f"{node.name}: RTL has no activation {op.activation}, only majority_vote")
    parameters = {
        "Inputs": op.channels, "Outputs": op.features, "Pe": op.pe, "Simd": op.simd,
        "Threshold": least_matches(op.channels, op.threshold), "MemoryStyle": op.memory,
    }  # fmt: skip
    words = popcount_weight_words(node.constants[0], op.pe, op.simd)
    return Cell("xnor_popcount", parameters, (Memory("WeightFile", "weights", words, op.pe * op.simd),))


_CELLS: dict[str, Callable[[Node], Cell]] = {
    "AddStreams": _add_streams,
    "AvgPool": _avg_pool,
    "Duplicate": _duplicate,
    "Fifo": _fifo,
    "GlobalPool": _global_pool,
    "IntConv": _int_conv,
    "PixelOffset": _pixel_offset,
    "SignThreshold": _sign_threshold,
    "SlidingWindow": _sliding_window,
    "VoteSelect": _vote_select,
    "WeightStationary": _weight_stationary,
    "WidthConverter": _width_converter,
    "XnorPopcount": _xnor_popcount,
}
