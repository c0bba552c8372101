"""From a hardware node to the call of its HLS header: template parameters in the header's order, and constant tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from flow.emit.tables import Table, bipolar_words, fold_weights
from flow.errors import FlowError
from flow.graph import Node
from flow.ops.votes import ACTIVATIONS
from flow.ops.weight_stationary import DDR_WORD

STORAGE = {"distributed": "lutram", "block": "bram"}  # memory attribute -> impl of BIND_STORAGE
MAX_SIMD = 64  # bits of a native word

WORDS_LAYOUT = "[e][nf * SF + sf], bit i: weight of input sf * Simd + i for output nf * Pe + e; 1 is +1"
CHANNELS_LAYOUT = "[e][nf]: of output nf * Pe + e"
WEIGHTS_LAYOUT = "[e][nf * SF + sf][i]: weight of input sf * Simd + i for output nf * Pe + e"


@dataclass(frozen=True)
class Call:
    """The call of a header's function: its template parameters by name (numbers, or an activation's type), its tables, and
    where the first table is kept."""

    function: str
    parameters: dict[str, int | str]
    tables: tuple[Table, ...] = field(default=())
    storage: str | None = None

    @property
    def headers(self) -> set[str]:
        """The function's header and those of the types among the parameters."""
        types = (
            value.removeprefix("flow::").split("<")[0] for value in self.parameters.values() if isinstance(value, str)
        )
        return {f"{name}.hpp" for name in (self.function, *types)}


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
    op, (weights, bias, *multiplier) = node.op, node.constants
    parameters = {
        "Inputs": op.channels,
        "Outputs": op.features,
        "Pixels": op.pixels,
        "Pe": op.pe,
        "Simd": op.simd,
        "InBits": op.bits,
        "WeightBits": op.weight_bits,
        "OutBits": op.out_bits,
        "AccBits": op.acc_bits,
        "Shift": op.shift,
    }
    tables = (
        Table("weights", "int8_t", fold_weights(weights, op.pe, op.simd), WEIGHTS_LAYOUT),
        Table("bias", "int32_t" if op.acc_bits <= 32 else "int64_t", bias, "[output]"),
    )
    return parameters, (*tables, *(Table("multipliers", "int32_t", values, "[output]") for values in multiplier))


def _max_pool(node):
    op = node.op
    return {"Height": op.height, "Width": op.width, "Channels": op.channels, "P": op.p, "Bits": op.bits}, ()


def _pixel_offset(node):
    return {"P": node.op.p, "Beats": node.op.inputs()[0].beats}, ()


def _pixel_table(node):
    op, (table,) = node.op, node.constants
    half = 1 << op.bits - 1
    if table.size != 256 or table.min() < -half or table.max() >= half:
        raise FlowError(
            f"{node.name}: {table.size} values {table.min()}..{table.max()}: must be 256 of {op.bits} signed bits"
        )
    parameters = {"P": op.p, "Bits": op.bits, "Beats": op.inputs()[0].beats}
    return parameters, (Table("table", "int32_t", table, "[pixel]"),)


def _prelu(node):
    op, (step, down, down_offset, up, up_offset) = node.op, node.constants
    if op.out_bits > 32 or not 0 <= op.shift < 64:
        raise FlowError(
            f"{node.name}: out_bits {op.out_bits}, shift {op.shift}: HLS takes at most 32 bits and shifts of 0..63"
        )
    lines = zip([*down.tolist(), *up.tolist()], [*down_offset.tolist(), *up_offset.tolist()])
    largest = max((abs(m) << op.bits - 1) + abs(b) for m, b in lines)
    if largest >= 1 << 63:
        raise FlowError(f"{node.name}: multiplier * x + offset reaches {largest}, beyond 64 bits: lower the shift")
    parameters = {
        "Channels": op.channels,
        "P": op.p,
        "InBits": op.bits,
        "OutBits": op.out_bits,
        "Shift": op.shift,
        "Pixels": op.pixels,
    }
    return parameters, (
        Table("step", "int32_t", step, "[channel]: up from this value on, down below it"),
        Table("down", "int32_t", down, "[channel]: multiplier"),
        Table("down_offset", "int64_t", down_offset, "[channel]: added to the product"),
        Table("up", "int32_t", up, "[channel]: multiplier"),
        Table("up_offset", "int64_t", up_offset, "[channel]: added to the product"),
    )


def _repeat_channels(node):
    op = node.op
    return {"Channels": op.channels, "P": op.p, "Bits": op.bits, "Times": op.times, "Pixels": op.pixels}, ()


def _rprelu(node):
    op, (before, slope, after) = node.op, node.constants
    parameters = {"Channels": op.channels, "P": op.p, "Bits": op.bits, "Pixels": op.pixels}
    return parameters, (
        Table("before", "int16_t", before, "[channel]: added first"),
        Table("slope", "uint8_t", slope, "[channel]: right shift of what is negative then"),
        Table("after", "int16_t", after, "[channel]: added last"),
    )


def _sample(node):
    op = node.op
    return {"P": op.p, "Bits": op.bits, "Ratio": op.ratio, "Beats": op.inputs()[0].beats}, ()


def _sign_threshold(node):
    op, (threshold,) = node.op, node.constants
    parameters = {"Channels": op.channels, "P": op.p, "Bits": op.bits, "Pixels": op.pixels}
    return parameters, (Table("thresholds", "int16_t", threshold, "[channel]: +1 from this value on"),)


def _sliding_window(node):
    op = node.op
    pad = int(op.pad_value > 0) if op.bits == 1 else op.pad_value & ((1 << op.bits) - 1)
    if op.p % op.taps_together:
        raise FlowError(
            f"{node.name}: order {op.order} wants p a multiple of {op.taps_together}, not {op.p}: set simd so"
        )
    return {
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
        "Taps": op.taps_together,
    }, ()


def _vote_select(node):
    op, (low, high) = node.op, node.constants
    parameters = {"Channels": op.channels, "P": op.p, "Bits": op.bits, "Pixels": op.pixels}
    return parameters, (
        Table("low", "int16_t", low, "[channel]: the value of vote -1"),
        Table("high", "int16_t", high, "[channel]: the value of vote +1"),
    )


def _weight_stationary(node):
    op = node.op
    if op.weight_bits % DDR_WORD:
        raise FlowError(
            f"{node.name}: {op.weight_bits} weight bits are not whole {DDR_WORD}-bit words: keep them on chip"
        )
    if DDR_WORD % (op.pe * op.simd) and op.pe * op.simd % DDR_WORD:
        raise FlowError(
            f"{node.name}: weight words have pe * simd = {op.pe * op.simd} bits: make that a divisor or a multiple"
            f" of {DDR_WORD} in the plan"
        )
    if op.pad_value not in (-1, 0, 1):
        raise FlowError(f"{node.name}: a bipolar map is padded with -1, 0 or +1, not {op.pad_value}")
    activation, tables = _activation(node, op.window)
    return {
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
        **_voters(node, masked=op.padding > 0 and op.pad_value == 0),
        "Activation": activation,
    }, tables


def _width_converter(node):
    op = node.op
    return {"InElements": op.p, "OutElements": op.out_p, "Bits": op.bits, "Elements": op.pixels * op.channels}, ()


def _xnor_popcount(node):
    op = node.op
    activation, tables = _activation(node, op.channels)
    parameters = {
        "Inputs": op.channels,
        "Outputs": op.features,
        "Pixels": op.pixels,
        "Pe": op.pe,
        "Simd": op.simd,
        "Masked": op.masked,
        **_voters(node, masked=op.masked),
        "Activation": activation,
    }
    ctype, words = bipolar_words(fold_weights(node.constants[0], op.pe, op.simd))
    return parameters, (Table("weights", ctype, words, WORDS_LAYOUT), *tables)


def _voters(node, masked):
    """Who votes on the sum: the inputs themselves, or groups of them."""
    op = node.op
    if op.simd > MAX_SIMD:
        raise FlowError(f"{node.name}: SIMD {op.simd} is above the {MAX_SIMD} that HLS takes: lower simd in the plan")
    if not op.group:
        return {"Group": 1, "GroupThreshold": 0}
    if masked:
        raise FlowError(f"{node.name}: groups of {op.group} have no majority outside the map: pad with -1 or +1")
    if op.simd % op.group and op.group % op.simd:
        raise FlowError(
            f"{node.name}: groups of {op.group} do not fit SIMD {op.simd}: set simd to a multiple or a divisor of"
            f" {op.group}"
        )
    return {"Group": op.group, "GroupThreshold": op.group_threshold}


def _activation(node, inputs):
    """The C++ type of the activation behind sums of ``inputs`` signs, and its tables."""
    op = node.op
    constants = [values.reshape(-1, op.pe).T for values in node.constants[1:]]  # [e][nf]
    if op.activation not in ACTIVATIONS:
        raise FlowError(f"{node.name}: HLS has no activation {op.activation}: it has {', '.join(ACTIVATIONS)}")
    if op.activation == "popcount_scale":
        return _popcount_scale(node, inputs, *constants)
    if op.activation == "sum":
        least = inputs.bit_length() + 1
        if not least <= op.out_bits <= 32:
            raise FlowError(f"{node.name}: sums of {inputs} signs on {op.out_bits} bits: set out_bits to {least}..32")
        return f"flow::sum<{op.out_bits}>", ()
    if constants:
        return "flow::threshold", (Table("thresholds", "int32_t", constants[0], CHANNELS_LAYOUT),)
    return f"flow::majority_vote<{op.threshold}>", ()


def _popcount_scale(node, inputs, multipliers, offsets):
    op = node.op
    if op.out_bits > 32 or not 0 <= op.shift < 64:
        raise FlowError(
            f"{node.name}: out_bits {op.out_bits}, shift {op.shift}: HLS takes at most 32 bits and shifts of 0..63"
        )
    largest = max(abs(m) * inputs + abs(b) for m, b in zip(multipliers.ravel().tolist(), offsets.ravel().tolist()))
    if largest >= 1 << 63:
        raise FlowError(f"{node.name}: multiplier * sum + offset reaches {largest}, beyond 64 bits: scale both down")
    return f"flow::popcount_scale<{op.out_bits}, {op.shift}>", (
        Table("multipliers", "int32_t", multipliers, CHANNELS_LAYOUT),
        Table("offsets", "int64_t", offsets, CHANNELS_LAYOUT),
    )


_CALLS: dict[str, Callable[[Node], tuple[dict[str, int | str], tuple[Table, ...]]]] = {
    "AddStreams": _add_streams,
    "AvgPool": _avg_pool,
    "Duplicate": _duplicate,
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
