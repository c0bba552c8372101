"""Reads an ONNX file of any exporter: one input, one batch, float32, QONNX's own domain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.qcdq_to_qonnx import QCDQToQuant

from flow.onnx_file import readable

from .edit import QUANT_DOMAIN

OLD_DOMAINS = ("finn", "finn.custom_op.general", "onnx.brevitas", "qonnx", "")
QONNX_NODES = ("Quant", "BipolarQuant", "Trunc", "IntQuant", "MultiThreshold")
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
    model = ModelWrapper(proto)
    if any(node.op_type == "DequantizeLinear" for node in proto.graph.node):
        typed = onnx.shape_inference.infer_shapes(model.model)  # bits and signs are those of the integers' types
        model = ModelWrapper(typed).transform(QCDQToQuant())
    return model


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
