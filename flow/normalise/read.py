"""Reads an ONNX file of any exporter: one input, one batch, float32, QONNX's own domain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.version_converter
from onnx import ModelProto, TensorProto, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import is_custom_op
from qonnx.transformation.qcdq_to_qonnx import QCDQToQuant

from flow.onnx_file import OURS, readable

from .edit import QUANT_DOMAIN, NodeRefused

OLD_DOMAINS = ("finn", "finn.custom_op.general", "onnx.brevitas", "qonnx", "")
QONNX_NODES = ("Quant", "BipolarQuant", "Trunc", "IntQuant", "MultiThreshold")
LEAST = 11  # opset
CONTRIBUTED = "com.microsoft"  # nodes of onnxruntime, which executes those that it has
HALF = (TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)


def read_file(path: Path) -> ModelWrapper:
    """Return the graph of an ONNX file.

    Raises:
        FlowError: it cannot be read (see flow.onnx_file.readable).
    """
    proto = readable(path)
    _constant_nodes(proto)
    _single_precision(proto)
    _unsqueezed_inputs(proto)
    _one_batch(proto)
    for node in proto.graph.node:
        if node.op_type in QONNX_NODES and node.domain in OLD_DOMAINS:
            node.domain = QUANT_DOMAIN
        if node.domain == QUANT_DOMAIN:
            _qonnx_rounding(node)
    _require_known_kinds(proto)
    _drop_unread_nodes(proto)
    _one_shape_each(proto)
    proto = _modern(proto)
    if any(node.op_type == "DequantizeLinear" for node in proto.graph.node):
        _zero_points(proto)
        clipped = _clip_integers(proto)
        proto = onnx.shape_inference.infer_shapes(proto)  # the types of integers
    model = ModelWrapper(proto)
    if any(node.op_type == "DequantizeLinear" for node in proto.graph.node):
        for node in [node for node in model.graph.node if node.op_type == "DequantizeLinear"]:
            _integers_as_quant(model, node, clipped.get(node.input[0]))
        model = model.transform(QCDQToQuant())
    for node in [node for node in model.graph.node if node.op_type == "Trunc"]:
        _trunc_as_quants(model, node)
    return model


def _qonnx_rounding(node) -> None:
    """Give a rounding the name that QONNX has for it: Brevitas writes ROUND_TO_ZERO, and small letters."""
    for attribute in node.attribute:
        if attribute.name == "rounding_mode":
            name = attribute.s.decode().upper()
            attribute.s = {"ROUND_TO_ZERO": "DOWN", "HALF_EVEN": "ROUND"}.get(name, name).encode()


def _require_known_kinds(proto: ModelProto) -> None:
    """Raise NodeRefused if a node is of a kind that its domain does not have."""
    functions = {(function.domain, function.name) for function in proto.functions}
    for node in proto.graph.node:
        domain = "" if node.domain in OURS else node.domain
        known = (node.domain, node.op_type) in functions or domain == CONTRIBUTED
        if not (known or onnx.defs.has(node.op_type, domain) or is_custom_op(domain, node.op_type)):
            where = f"the domain {node.domain!r}" if domain else "ONNX"
            raise NodeRefused(node, f"{where} has no such kind of node", "export it with nodes of ONNX and QONNX")


def _drop_unread_nodes(proto: ModelProto) -> None:
    """Remove nodes that the network's output does not depend on."""
    graph = proto.graph
    writers = {name: node for node in graph.node for name in node.output if name}
    waiting, needed = [info.name for info in graph.output], set()
    while waiting:
        node = writers.get(waiting.pop())
        if node is not None and node.output[0] not in needed:
            needed.add(node.output[0])
            waiting.extend(_reads(node))
    for node in list(graph.node):
        if not node.output or node.output[0] not in needed:
            graph.node.remove(node)


def _one_shape_each(proto: ModelProto) -> None:
    """Remove what is said of a tensor's shape a second time."""
    graph = proto.graph
    said = {info.name for info in (*graph.input, *graph.output)}
    for info in list(graph.value_info):
        if info.name in said:
            graph.value_info.remove(info)
        said.add(info.name)


def _reads(node) -> list[str]:
    """Return the names of all that a node reads, those of graphs in its attributes too."""
    graphs = [attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH]
    return [*node.input, *(name for graph in graphs for inner in graph.node for name in _reads(inner))]


def _zero_points(proto: ModelProto) -> None:
    """Add the zero points that QuantizeLinear and DequantizeLinear may leave out: 0, of uint8 or of the integers."""
    kinds = {tensor.name: tensor.data_type for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and len(node.input) == 2:
            kind = kinds.get(node.input[0], TensorProto.UINT8) if node.op_type[0] == "D" else TensorProto.UINT8
            scale = next((tensor for tensor in proto.graph.initializer if tensor.name == node.input[1]), None)
            zeros = np.zeros(() if scale is None else tuple(scale.dims), onnx.helper.tensor_dtype_to_np_dtype(kind))
            name = f"{node.output[0]}_zero_point"
            proto.graph.initializer.append(numpy_helper.from_array(zeros, name))
            node.input.append(name)


def _clip_integers(proto: ModelProto) -> dict[str, int]:
    """Clip constant integers, as weights are in the QCDQ files of Brevitas; return how many bits hold what is left."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    bits = {}
    for node in [node for node in proto.graph.node if node.op_type == "Clip"]:
        integers, *ends = (constants.get(name) for name in node.input)
        if integers is None or integers.dtype.kind not in "iu" or len(ends) != 2 or any(end is None for end in ends):
            continue
        low, high = (int(end.reshape(-1)[0]) for end in ends)
        proto.graph.initializer.append(numpy_helper.from_array(integers.clip(low, high), node.output[0]))
        proto.graph.node.remove(node)
        unsigned = max(high, -low - 1).bit_length()
        bits[node.output[0]] = max(2, unsigned + (integers.dtype.kind == "i"))
    return bits


def _integers_as_quant(model: ModelWrapper, node, bits: int | None = None) -> None:
    """Replace DequantizeLinear of constant integers, such as weights, by the Quant of their values, of 8 bits unless
    they were clipped to fewer."""
    integers, scale, zero = (model.get_initializer(name) for name in node.input)
    if integers is None or scale is None or zero is None or integers.dtype not in (np.int8, np.uint8):
        return
    axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
    shape = [1] * integers.ndim
    if scale.size > 1:
        shape[axis] = -1
    scale, zero = (value.astype(np.float64).reshape(shape if scale.size > 1 else ()) for value in (scale, zero))
    names = [model.make_new_valueinfo_name() for _ in range(4)]
    zero = np.zeros(()) if not zero.any() else zero
    for name, value in zip(names, ((integers - zero) * scale, scale, zero, np.float64(bits or 8))):
        model.set_initializer(name, np.asarray(value, np.float32))
    signed, least = int(integers.dtype == np.int8), -(1 << ((bits or 8) - 1))
    attributes = {"signed": signed, "narrow": int(signed and integers.min() > least), "rounding_mode": "ROUND"}
    quant = onnx.helper.make_node("Quant", names, list(node.output), name=node.name, domain=QUANT_DOMAIN, **attributes)
    model.graph.node.insert(list(model.graph.node).index(node), quant)
    model.graph.node.remove(node)


def _trunc_as_quants(model: ModelWrapper, trunc) -> None:
    """Replace a Trunc: its input's own quantizer, a coarser one that floors, and what is left of the scale.

    Version 1 has a number of bits before and after; version 2 also the scale after.
    """
    values = [model.get_initializer(name) for name in trunc.input[1:]]
    if any(value is None or value.size != 1 for value in values) or np.any(values[1]):
        raise NodeRefused(trunc, "its numbers are not one constant each, with the zero point 0", "use a static one")
    given = {a.name: onnx.helper.get_attribute_value(a) for a in trunc.attribute}
    scale, _, bits, *after, out_bits = (float(value.reshape(-1)[0]) for value in values)
    dropped = bits - out_bits if not after else np.round(np.log2(after[0] / scale))
    coarse = scale * 2.0**dropped
    tensor, index = trunc.input[0], list(model.graph.node).index(trunc)
    model.graph.node.remove(trunc)
    signed, narrow = given.get("signed", 1), given.get("narrow", 0)
    rounding = given.get("rounding_mode", b"FLOOR").decode()
    whole = signed if after else 1  # version 1 does not say, and cuts nothing off
    steps = [
        (scale, bits + 2, 1, 0, "ROUND"),
        (coarse, out_bits if after else out_bits + 1, whole, narrow, rounding),
    ]
    for count, (step, width, sign, tight, mode) in enumerate(steps):
        names = [model.make_new_valueinfo_name() for _ in range(4)]
        for name, value in zip(names, (step, 0.0, width)):
            model.set_initializer(name, np.float32(value))
        last = count == 1 and after
        output = trunc.output[0] if last else names[3]
        attributes = {"signed": sign, "narrow": tight, "rounding_mode": mode}
        node = onnx.helper.make_node(
            "Quant", [tensor, *names[:3]], [output], name=f"{trunc.name}_{count}", domain=QUANT_DOMAIN, **attributes
        )
        model.graph.node.insert(index + count, node)
        tensor = output
    if not after:
        factor = model.make_new_valueinfo_name()
        model.set_initializer(factor, np.float32(2.0**-dropped))
        mul = onnx.helper.make_node("Mul", [tensor, factor], [trunc.output[0]], name=trunc.name)
        model.graph.node.insert(index + 2, mul)


def _modern(proto: ModelProto) -> ModelProto:
    """Return a file of an opset below LEAST in that one, in which Pad and Clip have inputs instead of attributes."""
    known = {entry.domain for entry in proto.opset_import}
    proto.opset_import.extend(
        onnx.helper.make_opsetid(domain, 1) for domain in sorted({node.domain for node in proto.graph.node} - known)
    )
    if all(entry.version >= LEAST for entry in proto.opset_import if entry.domain in ("", "ai.onnx")):
        return proto
    modern = onnx.version_converter.convert_version(proto, LEAST)
    _constant_nodes(modern)
    return modern


def _constant_nodes(proto: ModelProto) -> None:
    """Make initializers of Constant nodes."""
    for node in [n for n in proto.graph.node if n.op_type == "Constant"]:
        value = onnx.helper.get_attribute_value(node.attribute[0])
        kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
        kind = kinds.get(node.attribute[0].name)
        tensor = value if kind is None else numpy_helper.from_array(np.asarray(value, kind))
        if not isinstance(tensor, TensorProto):
            continue
        copy = TensorProto()
        copy.CopyFrom(tensor)
        copy.name = node.output[0]
        proto.graph.initializer.append(copy)
        proto.graph.node.remove(node)


def _single_precision(proto: ModelProto) -> None:
    """Turn float16 and float64 into float32."""
    graph = proto.graph
    if not any(t.data_type in HALF for t in graph.initializer) and not any(
        info.type.tensor_type.elem_type in HALF for info in graph.input
    ):
        return
    for tensor in graph.initializer:
        if tensor.data_type in HALF:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.type.tensor_type.elem_type in HALF:
            info.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in graph.node:
        if node.op_type == "Cast" and node.attribute[0].i in HALF:
            node.attribute[0].i = TensorProto.FLOAT


def _unsqueezed_inputs(proto: ModelProto) -> None:
    """Give an input whose only reader adds the axis of images that axis."""
    graph = proto.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for info in graph.input:
        readers = [node for node in graph.node if info.name in node.input]
        if info.name in constants or len(readers) != 1 or readers[0].op_type != "Unsqueeze":
            continue
        (node,) = readers
        axes = next((list(a.ints) for a in node.attribute if a.name == "axes"), None)
        axes = constants.get(node.input[1]) if axes is None and len(node.input) > 1 else axes
        if axes is None or list(axes) != [0]:
            continue
        dims = [d.dim_value for d in info.type.tensor_type.shape.dim]
        if len(dims) > 1 and dims[0] == 1:  # of an image already
            continue
        kind = info.type.tensor_type.elem_type
        info.CopyFrom(onnx.helper.make_tensor_value_info(info.name, kind, [1, *dims]))
        for other in graph.node:
            for position, name in enumerate(other.input):
                if name == node.output[0]:
                    other.input[position] = info.name
        graph.node.remove(node)


def _one_batch(proto: ModelProto) -> None:
    """Give the batch, the first axis of inputs and outputs, the size 1 where it is not fixed, or another."""
    constants = {t.name for t in proto.graph.initializer}
    changed = False
    for info in proto.graph.input:
        dims = info.type.tensor_type.shape.dim
        if info.name not in constants and len(dims) > 1 and dims[0].dim_value != 1:
            dims[0].dim_value = 1
            changed = True
    if changed:
        for info in proto.graph.output:
            dims = info.type.tensor_type.shape.dim
            if len(dims) > 1:
                dims[0].dim_value = 1
        del proto.graph.value_info[:]
