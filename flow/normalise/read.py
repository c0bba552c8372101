"""Reads an ONNX file of any exporter: one input, one batch, float32, QONNX's own domain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.version_converter
from onnx import ModelProto, TensorProto, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.qcdq_to_qonnx import QCDQToQuant

from flow.onnx_file import readable

from .edit import QUANT_DOMAIN, NodeRefused

OLD_DOMAINS = ("finn", "finn.custom_op.general", "onnx.brevitas", "qonnx", "")
QONNX_NODES = ("Quant", "BipolarQuant", "Trunc", "IntQuant", "MultiThreshold")
LEAST = 11  # opset
HALF = (TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)


def read_file(path: Path) -> ModelWrapper:
    """Return the graph of an ONNX file.

    Raises:
        FlowError: it cannot be read (see flow.onnx_file.readable).
    """
    proto = readable(path)
    _constant_nodes(proto)
    _single_precision(proto)
    _one_batch(proto)
    for node in proto.graph.node:
        if node.op_type in QONNX_NODES and node.domain in OLD_DOMAINS:
            node.domain = QUANT_DOMAIN
    proto = _modern(proto)
    if any(node.op_type == "DequantizeLinear" for node in proto.graph.node):
        proto = onnx.shape_inference.infer_shapes(proto)  # the types of integers
    model = ModelWrapper(proto)
    if any(node.op_type == "DequantizeLinear" for node in proto.graph.node):
        model = model.transform(QCDQToQuant())
    for node in [node for node in model.graph.node if node.op_type == "Trunc"]:
        _trunc_as_quants(model, node)
    return model


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
        if not last:
            model.set_tensor_shape(output, model.get_tensor_shape(trunc.input[0]) or [1])
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
