"""From a hardware node to the call of its HLS header: template parameters in the header's order, and constant tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from flow.emit.tables import Table, bipolar_words, fold_weights
from flow.errors import FlowError
from flow.graph import Node
from flow.ops.votes import least_matches

STORAGE = {"distributed": "lutram", "block": "bram"}  # memory attribute -> impl of BIND_STORAGE
MAX_SIMD = 64  # bits of a native word

WORDS_LAYOUT = "[e][nf * SF + sf], bit i: weight of input sf * Simd + i for output nf * Pe + e; 1 is +1"
WEIGHTS_LAYOUT = "[e][nf * SF + sf][i]: weight of input sf * Simd + i for output nf * Pe + e"


@dataclass(frozen=True)
class Call:
    """The call of a header's function: its template parameters by name, its tables, and where the first table is kept."""

    function: str
    parameters: dict[str, int]
    tables: tuple[Table, ...] = field(default=())
    storage: str | None = None


def call_of(node: Node) -> Call:
    """The call for ``node``.

    Raises:
        FlowError: there is no such header, or it does not take these attributes.
    """
    if node.kind not in _CALLS:
        raise FlowError(f"{node.name}: no HLS header for {node.kind}: HLS has {', '.join(sorted(_CALLS))}")
    parameters, tables = _CALLS[node.kind](node)
    memory = node.op.memory if "memory" in node.op.attributes and tables else None
    checked = tuple(table.checked(node.name) for table in tables)
    return Call(node.op.stem, parameters, checked, STORAGE.get(memory))


def _add_streams(node):
    op = node.op
    return {"P": op.p, "Bits": op.bits, "Beats": op.inputs()[0].beats}, ()


def _avg_pool(node):
    op = node.op
    return {"Height": op.height, "Width": op.width, "Channels": op.channels, "P": op.p, "Bits": op.bits}, ()


def _duplicate(node):
    stream = node.op.inputs()[0]
    return {"Width": stream.beat_bits, "Beats": stream.beats}, ()


def _global_pool(node):
    op = node.op
    return {"Pixels": op.pixels, "Channels": op.channels, "P": op.p, "Bits": op.bits}, ()


def _int_conv(node):
    op, (weights, bias) = node.op, node.constants
    parameters = {
        "Inputs": op.channels, "Outputs": op.features, "Pixels": op.pixels, "Pe": op.pe, "Simd": op.simd, "InBits": op.bits,
        "WeightBits": op.weight_bits, "OutBits": op.out_bits, "AccBits": op.acc_bits, "Shift": op.shift,
    }  # fmt: skip
    folded = fold_weights(weights, op.pe, op.simd)
    return parameters, (Table("weights", "int8_t", folded, WEIGHTS_LAYOUT), Table("bias", "int32_t", bias, "[output]"))


def _pixel_offset(node):
    return {"P": node.op.p, "Beats": node.op.inputs()[0].beats}, ()


def _sign_threshold(node):
    op, (threshold,) = node.op, node.constants
    parameters = {"Channels": op.channels, "P": op.p, "Bits": op.bits, "Pixels": op.pixels}
    return parameters, (Table("thresholds", "int16_t", threshold, "[channel]: +1 from this value on"),)


def _sliding_window(node):
    op = node.op
    pad = int(op.pad_value > 0) if op.bits == 1 else op.pad_value & ((1 << op.bits) - 1)
    return {
        "Height": op.height, "Width": op.width, "Channels": op.channels, "Kernel": op.kernel, "Stride": op.stride,
        "Padding": op.padding, "P": op.p, "Bits": op.bits, "PadValue": pad,
    }, ()  # fmt: skip


def _vote_select(node):
    op, (low, high) = node.op, node.constants
    parameters = {"Channels": op.channels, "P": op.p, "Bits": op.bits, "Pixels": op.pixels}
    return parameters, (
        Table("low", "int16_t", low, "[channel]: the value of vote -1"),
        Table("high", "int16_t", high, "[channel]: the value of vote +1"),
    )


def _weight_stationary(node):
    op = node.op
    _check_simd(node)
    if op.weight_bits % 64:
        raise FlowError(f"{node.name}: {op.weight_bits} weight bits are not whole 64-bit words: keep its weights on chip")
    return {
        "Height": op.height, "Width": op.width, "Channels": op.channels, "Outputs": op.features, "Kernel": op.kernel,
        "Stride": op.stride, "Padding": op.padding, "Pe": op.pe, "Simd": op.simd,
        "Threshold": least_matches(op.window, op.threshold),
    }, ()  # fmt: skip


def _width_converter(node):
    op = node.op
    return {"InElements": op.p, "OutElements": op.out_p, "Bits": op.bits, "Elements": op.pixels * op.channels}, ()


def _xnor_popcount(node):
    op = node.op
    _check_simd(node)
    if op.activation != "majority_vote":
        raise FlowError(f"{node.name}: HLS has no activation {op.activation}, only majority_vote")
    parameters = {
        "Inputs": op.channels, "Outputs": op.features, "Pixels": op.pixels, "Pe": op.pe, "Simd": op.simd,
        "Threshold": least_matches(op.channels, op.threshold),
    }  # fmt: skip
    ctype, words = bipolar_words(fold_weights(node.constants[0], op.pe, op.simd))
    return parameters, (Table("weights", ctype, words, WORDS_LAYOUT),)


def _check_simd(node):
    if node.op.simd > MAX_SIMD:
        raise FlowError(f"{node.name}: SIMD {node.op.simd} is above the {MAX_SIMD} that HLS takes: lower simd in the plan")


_CALLS: dict[str, Callable[[Node], tuple[dict[str, int], tuple[Table, ...]]]] = {
    "AddStreams": _add_streams,
    "AvgPool": _avg_pool,
    "Duplicate": _duplicate,
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
