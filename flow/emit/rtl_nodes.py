"""From a hardware node to the instance of its RTL module: parameters, constant memories and stream ports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from flow.emit.memory_files import bias_words, count_words, int_weight_words, popcount_weight_words
from flow.errors import FlowError
from flow.graph import Node
from flow.ops.votes import least_matches, output_bits


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
    return Cell(
        "avg_pool", {"Height": op.height, "Width": op.width, "Channels": op.channels, "P": op.p, "Bits": op.bits}
    )


def _duplicate(node):
    return Cell("duplicate", {"Width": node.op.inputs()[0].beat_bits})


def _fifo(node):
    op = node.op
    return Cell("fifo", {"Width": op.inputs()[0].beat_bits, "Depth": op.depth, "MemoryStyle": op.memory})


def _global_pool(node):
    op = node.op
    return Cell("global_pool", {"Pixels": op.pixels, "Channels": op.channels, "P": op.p, "Bits": op.bits})


def _int_conv(node):
    op, (weights, bias, *multiplier) = node.op, node.constants
    parameters = {
        "Inputs": op.channels,
        "Outputs": op.features,
        "Pe": op.pe,
        "Simd": op.simd,
        "InBits": op.bits,
        "WeightBits": op.weight_bits,
        "OutBits": op.out_bits,
        "AccBits": op.acc_bits,
        "Shift": op.shift,
        "MemoryStyle": op.memory,
    }
    words = int_weight_words(weights, op.pe, op.simd, op.weight_bits)
    memories = (
        Memory("WeightFile", "weights", words, op.pe * op.simd * op.weight_bits),
        Memory("BiasFile", "biases", bias_words(bias, op.pe, op.acc_bits), op.pe * op.acc_bits),
    )
    if not multiplier:
        return Cell("int_conv", parameters, memories)
    bits = _signed_bits(*multiplier)
    largest_sum = int(np.abs(weights).sum(axis=1).max()) << op.bits - 1
    scaled = {"Scaled": 1, "SumBits": _signed_bits([largest_sum]), "MultiplierBits": bits}
    multipliers = Memory("MultiplierFile", "multipliers", bias_words(*multiplier, op.pe, bits), op.pe * bits)
    return Cell("int_conv", parameters | scaled, (*memories, multipliers))


def _max_pool(node):
    op = node.op
    return Cell(
        "max_pool", {"Height": op.height, "Width": op.width, "Channels": op.channels, "P": op.p, "Bits": op.bits}
    )


def _pixel_offset(node):
    return Cell("pixel_offset", {"P": node.op.p})


def _pixel_table(node):
    op, (table,) = node.op, node.constants
    if table.size != 256 or _signed_bits(table) > op.bits:
        raise FlowError(
            f"{node.name}: {table.size} values {table.min()}..{table.max()}: must be 256 of {op.bits} signed bits"
        )
    memory = Memory("TableFile", "table", bias_words(table, 1, op.bits), op.bits)
    return Cell("pixel_table", {"P": op.p, "Bits": op.bits}, (memory,))


def _prelu(node):
    """A tuple {up_offset, up, down_offset, down, step} a channel. A step has a bit more than x, for 2^(bits - 1): never."""
    op, (step, down, down_offset, up, up_offset) = node.op, node.constants
    half = 1 << op.bits - 1
    multiplier_bits, offset_bits = _signed_bits([*down, *up]), _signed_bits([*down_offset, *up_offset])
    if step.min() < -half or step.max() > half:
        raise FlowError(f"{node.name}: step {step.min()}..{step.max()} is not within {-half}..{half}")
    if multiplier_bits > 32 or offset_bits > 48:
        sizes = f"multipliers of {multiplier_bits} and offsets of {offset_bits} bits"
        raise FlowError(f"{node.name}: {sizes}: RTL takes at most 32 and 48: lower the shift")
    widths = (op.bits + 1, multiplier_bits, offset_bits, multiplier_bits, offset_bits)
    fields = (bias_words(values, 1, width) for values, width in zip(node.constants, widths))
    tuples = [_joined(parts, widths) for parts in zip(*fields)]
    words = [_joined(tuples[c : c + op.p], [sum(widths)] * op.p) for c in range(0, op.channels, op.p)]
    parameters = {
        "Channels": op.channels,
        "P": op.p,
        "InBits": op.bits,
        "OutBits": op.out_bits,
        "MultiplierBits": multiplier_bits,
        "OffsetBits": offset_bits,
        "Shift": op.shift,
    }
    return Cell("prelu", parameters, (Memory("TableFile", "table", words, op.p * sum(widths)),))


def _joined(parts: Sequence[int], widths: Sequence[int]) -> int:
    """Unsigned numbers of ``widths`` bits side by side in one, the first in the low bits."""
    return sum(part << low for part, low in zip(parts, accumulate(widths, initial=0)))


def _repeat_channels(node):
    op = node.op
    return Cell("repeat_channels", {"Channels": op.channels, "P": op.p, "Bits": op.bits, "Times": op.times})


def _rprelu(node):
    """A triple {after, slope, before} a channel is one signed number: that of after, with the other two below it."""
    op, (before, slope, after) = node.op, node.constants
    half, width = 1 << op.bits - 1, 2 * op.bits + op.slope_bits
    limits = (("before", before, -half, half), ("slope", slope, 0, op.bits), ("after", after, -half, half))
    for name, values, least, end in limits:
        if values.min() < least or values.max() >= end:
            raise FlowError(f"{node.name}: {name} {values.min()}..{values.max()} is not within {least}..{end - 1}")
    triples = after << op.bits + op.slope_bits | slope << op.bits | before & 2 * half - 1
    memory = Memory("TableFile", "table", bias_words(triples, op.p, width), op.p * width)
    return Cell("rprelu", {"Channels": op.channels, "P": op.p, "Bits": op.bits, "SlopeBits": op.slope_bits}, (memory,))


def _sample(node):
    return Cell("sample", {"P": node.op.p, "Bits": node.op.bits, "Ratio": node.op.ratio})


def _sign_threshold(node):
    """The module holds thresholds on the bits of its elements. The one that is never reached, 2^(bits - 1), needs a bit more."""
    op, (threshold,) = node.op, node.constants
    extend = int(threshold.max() >= 1 << op.bits - 1)
    bits = op.bits + extend
    memory = Memory("ThresholdFile", "thresholds", bias_words(threshold, op.p, bits), op.p * bits)
    return Cell("sign_threshold", {"Channels": op.channels, "P": op.p, "Bits": bits}, (memory,), extend)


def _sliding_window(node):
    op = node.op
    if op.masked and op.taps_together > 1:
        raise FlowError(
            f"{node.name}: RTL pads windows of order {op.order} with -1 or +1, not 0: set pad_value, or order tap"
        )
    if op.p % op.taps_together:
        raise FlowError(f"{node.name}: order {op.order} needs p to be a multiple of {op.taps_together}, not {op.p}")
    pad = int(op.pad_value > 0) if op.bits == 1 else op.pad_value & ((1 << op.bits) - 1)
    return Cell(
        "sliding_window",
        {
            "Height": op.height,
            "Width": op.width,
            "Channels": op.channels,
            "Kernel": op.kernel,
            "Stride": op.stride,
            "Padding": op.padding,
            "P": op.p,
            "Bits": op.bits,
            "PadValue": pad,
            "Masked": int(op.masked),
            "TapsTogether": op.taps_together,
            "MemoryStyle": op.memory,
        },
    )


def _vote_select(node):
    op, (low, high) = node.op, node.constants
    pairs = bias_words(np.stack([low, high], axis=1).ravel(), 2 * op.p, op.bits)  # high in the upper half of a pair
    memory = Memory("TableFile", "table", pairs, 2 * op.p * op.bits)
    return Cell("vote_select", {"Channels": op.channels, "P": op.p, "Bits": op.bits}, (memory,))


def _weight_stationary(node):
    op = node.op
    if op.padding and op.pad_value not in (-1, 0, 1):
        raise FlowError(f"{node.name}: binary maps are padded with -1, 0 or +1, not {op.pad_value}")
    masked = op.padding > 0 and op.pad_value == 0
    voter, memories = _voter(node, op.window, masked)
    parameters = {
        "Height": op.height,
        "Width": op.width,
        "Channels": op.channels,
        "Outputs": op.features,
        "Kernel": op.kernel,
        "Stride": op.stride,
        "Padding": op.padding,
        "PadValue": op.pad_value,
        "Pe": op.pe,
        "Simd": op.simd,
        **voter,
        "MemoryStyle": op.map_memory,
    }
    return Cell("weight_stationary", parameters, memories)


def _width_converter(node):
    op = node.op
    return Cell("width_converter", {"InElements": op.p, "OutElements": op.out_p, "Bits": op.bits})


def _xnor_popcount(node):
    op = node.op
    voter, memories = _voter(node, op.channels, bool(op.masked))
    parameters = {
        "Inputs": op.channels,
        "Outputs": op.features,
        "Pe": op.pe,
        "Simd": op.simd,
        "Masked": op.masked,
        **voter,
        "MemoryStyle": op.memory,
    }
    words = popcount_weight_words(node.constants[0], op.pe, op.simd)
    return Cell("xnor_popcount", parameters, (Memory("WeightFile", "weights", words, op.pe * op.simd), *memories))


# What stands behind the popcounts. Of n signs hardware counts the matches p, and their sum is s = 2p - n; where windows are masked it
# counts 2p + the masked signs, so that s = count - n. With groups the signs are the votes of the groups.


def _voter(node: Node, n: int, masked: bool) -> tuple[dict, tuple[Memory, ...]]:
    """Parameters and memories of the groups and the activation of a binary engine with windows of n signs."""
    op = node.op
    if op.activation not in _ACTIVATIONS:
        raise FlowError(f"{node.name}: RTL has no activation {op.activation}: it has {', '.join(_ACTIVATIONS)}")
    groups = _group_parameters(node, masked) if op.group else {}
    voters = -(-n // op.group) if op.group else n
    parameters, memories = _ACTIVATIONS[op.activation](node, voters, masked)
    return {**groups, "Activation": op.activation, "OutBits": output_bits(op), **parameters}, memories


def _group_parameters(node: Node, masked: bool) -> dict:
    op = node.op
    if masked:
        raise FlowError(
            f"{node.name}: groups of {op.group} have no majority outside the map: pad with -1 or +1, or set group to 0"
        )
    if op.group % op.simd and op.simd % op.group:
        raise FlowError(
            f"{node.name}: groups of {op.group} do not fit {op.simd} inputs a beat: set simd to a multiple or a divisor of {op.group}"
        )
    if not -op.group < op.group_threshold <= op.group:
        raise FlowError(
            f"{node.name}: with a group_threshold of {op.group_threshold} all groups of {op.group} vote the same"
        )
    return {"Group": op.group, "GroupThreshold": op.group_threshold}


def _majority_vote(node: Node, n: int, masked: bool) -> tuple[dict, tuple[Memory, ...]]:
    threshold = node.op.threshold
    least = int(_least_count(n, threshold, masked))
    if not 1 <= least <= _most(n, masked):
        raise FlowError(f"{node.name}: with a threshold of {threshold} all sums of {n} signs vote the same")
    return {"Threshold": least}, ()


def _threshold(node: Node, n: int, masked: bool) -> tuple[dict, tuple[Memory, ...]]:
    """A threshold that no sum reaches is one more than the most that is counted."""
    op, most = node.op, _most(n, masked)
    bits = most.bit_length() + 1
    least = np.clip(_least_count(n, node.constants[1], masked), 0, most + 1)
    return {}, (Memory("ThresholdFile", "thresholds", count_words(least, op.pe, bits), op.pe * bits),)


def _popcount_scale(node: Node, n: int, masked: bool) -> tuple[dict, tuple[Memory, ...]]:
    """multiplier * s + offset as constants of the count, with s = scale * count - n."""
    op, (multiplier, offset), scale = node.op, node.constants[1:], 1 if masked else 2
    parameters, memories = {"Shift": op.shift}, []
    for name, values in (("Multiplier", scale * multiplier), ("Offset", offset - multiplier * n)):
        bits = _signed_bits(values)
        parameters[f"{name}Bits"] = bits
        memories.append(Memory(f"{name}File", f"{name.lower()}s", bias_words(values, op.pe, bits), op.pe * bits))
    return parameters, tuple(memories)


def _sum(node: Node, n: int, masked: bool) -> tuple[dict, tuple[Memory, ...]]:
    if n >= 1 << node.op.out_bits - 1:
        raise FlowError(f"{node.name}: sums of {n} signs need {n.bit_length() + 1} out_bits, not {node.op.out_bits}")
    return {}, ()


_ACTIVATIONS = {
    "majority_vote": _majority_vote,
    "threshold": _threshold,
    "popcount_scale": _popcount_scale,
    "sum": _sum,
}


def _least_count(n: int, threshold, masked: bool):
    """The least count with s >= threshold."""
    return n + threshold if masked else least_matches(n, threshold)


def _most(n: int, masked: bool) -> int:
    """The largest count."""
    return 2 * n if masked else n


def _signed_bits(values: np.ndarray) -> int:
    return max(int(value if value >= 0 else ~value).bit_length() for value in values) + 1


_CELLS: dict[str, Callable[[Node], Cell]] = {
    "AddStreams": _add_streams,
    "AvgPool": _avg_pool,
    "Duplicate": _duplicate,
    "Fifo": _fifo,
    "GlobalPool": _global_pool,
    "IntConv": _int_conv,
    "MaxPool": _max_pool,
    "PReLU": _prelu,
    "PixelOffset": _pixel_offset,
    "PixelTable": _pixel_table,
    "RPReLU": _rprelu,
    "RepeatChannels": _repeat_channels,
    "Sample": _sample,
    "SignThreshold": _sign_threshold,
    "SlidingWindow": _sliding_window,
    "VoteSelect": _vote_select,
    "WeightStationary": _weight_stationary,
    "WidthConverter": _width_converter,
    "XnorPopcount": _xnor_popcount,
}
