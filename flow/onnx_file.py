"""Checks anyone's QONNX file before other libraries meet it, so that what is wrong with it is said by name."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper

from flow.errors import FlowError, reason_of
from flow.execute import Execution
from flow.files import require_file
from flow.memory import require_memory

MOST_BYTES = (1 << 31) - 1  # of a protobuf message
MOST_BITS = 32  # of a quantizer
OPSETS = range(7, 24)  # of ONNX, in which the nodes that the passes know have the meaning that they take them for
QUANTIZERS = ("Quant", "BipolarQuant", "Trunc")  # of weights, too
BINARY = ("Add", "Sub", "Mul", "Div", "Concat", "Max", "Min", "Sum", "Where", "Pow")  # of two variables
COPIES = 4  # of a tensor in float32, at least, while a graph is executed
OURS = ("", "ai.onnx")
REAL = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)


def readable(path: Path) -> ModelProto:
    """Return the contents of an ONNX file, with values that its folder holds in files of their own.

    Raises:
        FlowError: it is missing, no ONNX file, not complete, of an opset that is not read, has several outputs, or
            holds values that are not finite.
    """
    model = _parsed(path)
    graph = model.graph
    _require_one_output(path, model)
    _require_written(path, graph)
    _require_inputs(path, graph)
    _require_memory_of_tensors(path, model)
    pads = _values_of_pads(graph)  # in front of a maximum nothing is less than these
    for name, tensor in _constants(graph):
        if tensor.data_type in REAL:
            try:
                values = numpy_helper.to_array(tensor)
            except (ValueError, TypeError) as error:
                raise FlowError(f"{path}: {name} has not as many values as its shape {list(tensor.dims)}") from error
            if not np.isfinite(values).all() and not (np.isneginf(values).all() and name in pads):
                raise FlowError(
                    f"{path}: {int((~np.isfinite(values)).sum())} of the {values.size} values of {name} are NaN or "
                    "infinite: export a network whose parameters are numbers"
                )
    return model


def require_quantizers(path: Path, model: ModelWrapper) -> None:
    """Raise FlowError if a quantizer has a scale that is not positive, or bits that no hardware has."""
    for node in model.graph.node:
        if node.op_type not in QUANTIZERS:
            continue
        named = dict(zip(("scale", "zero point", "bits"), list(node.input)[1:]))
        for what, name in named.items():
            value = model.get_initializer(name)
            if value is None:
                raise FlowError(
                    f"{path}: the {what} of {node.name} is computed by the network, not constant: freeze it"
                )
            wrong = {
                "scale": not (value > 0).all(),
                "zero point": False,  # the passes say which they take
                "bits": not ((value >= 1) & (value <= MOST_BITS) & (value == np.rint(value))).all(),
            }[what]
            if wrong or not np.isfinite(value).all():
                allowed = {"scale": "above 0", "zero point": "finite", "bits": f"whole, 1 to {MOST_BITS}"}[what]
                raise FlowError(f"{path}: the {what} of {node.name} is {value.ravel()[0]:g}: it must be {allowed}")


def settle_shapes(path: Path, model: ModelWrapper) -> None:
    """Compute every node once, and correct shapes that the file says otherwise.

    Raises:
        FlowError: a node cannot be computed; names the first.
    """
    execution = Execution(model)
    context = {info.name: np.zeros(model.get_tensor_shape(info.name), np.float32) for info in model.graph.input}
    last = {name: index for index, node in enumerate(model.graph.node) for name in node.input}
    for index, node in enumerate(model.graph.node):
        _require_memory_of_windows(path, model, node)
        try:
            with np.errstate(all="ignore"):
                execution.node(node, context)
        except (FlowError, MemoryError):
            raise
        except Exception as error:  # of many kinds: of onnxruntime, onnx, qonnx and numpy
            named = f"{node.name or node.output[0]} ({node.op_type})"
            shapes = (model.get_tensor_shape(name) for name in node.input if name)
            read = ", ".join("x".join(map(str, shape or ())) or "one number" for shape in shapes)
            raise FlowError(
                f"{path}: {named} cannot be computed on inputs of {read} ({reason_of(error)}): export it again"
            ) from error
        for name in filter(None, node.output):
            if list(model.get_tensor_shape(name) or ()) != list(context[name].shape):
                kind = helper.np_dtype_to_tensor_dtype(context[name].dtype)
                model.set_tensor_shape(name, list(context[name].shape), kind)
        for name in {name for name in node.input if last[name] == index}:
            context.pop(name, None)


def _require_memory_of_windows(path: Path, model: ModelWrapper, node) -> None:
    """Raise FlowError if the windows of a convolution, which is computed in float64, do not fit into memory."""
    if node.op_type != "Conv" or len(node.input) < 2:
        return
    weights, output = (model.get_tensor_shape(name) for name in (node.input[1], node.output[0]))
    if weights and output:
        needed = 16 * math.prod(output[2:]) * math.prod(weights[1:])
        require_memory(needed, f"{path}: {node.name or node.output[0]} (Conv)", "export it for smaller images")


def _parsed(path: Path) -> ModelProto:
    require_file(path, "a QONNX file")
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise FlowError(f"{path} has {size:,} bytes, and an ONNX file at most {MOST_BYTES:,}: give a QONNX file")
        if not size:
            raise FlowError(f"{path} is empty: give a QONNX file")
        model = onnx.load_model_from_string(path.read_bytes())
    except FileNotFoundError:
        raise FlowError(f"no file {path}: give a QONNX file") from None
    except OSError as error:
        raise FlowError(f"{path} cannot be read: {error.strerror}") from error
    except DecodeError as error:
        raise FlowError(f"{path} is no QONNX file, or damaged: give one that Brevitas exported") from error
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        reason = str(error).split("\n")[0]
        raise FlowError(f"{path}: its values in another file cannot be read ({reason}): export all in one") from error
    return model


def _require_one_output(path: Path, model: ModelProto) -> None:
    """Raise FlowError if it has no nodes, no output or several, or is of an opset that is not read."""
    graph = model.graph
    if not graph.node:
        raise FlowError(f"{path} has no nodes: export a network")
    if not graph.output:
        raise FlowError(f"{path} has no output: export the network with its logits as output")
    for entry in model.opset_import:
        if entry.domain in OURS and entry.version not in OPSETS:
            raise FlowError(
                f"{path} is of ONNX opset {entry.version}: export it with one of {OPSETS[0]} to {OPSETS[-1]}, best 13"
            )
    if not any(entry.domain in OURS for entry in model.opset_import):
        raise FlowError(f"{path} does not say its ONNX opset: export it again")


def _require_written(path: Path, graph: GraphProto) -> None:
    """Raise FlowError if a node reads what nothing writes, or two write one name."""
    written = Counter(name for node in graph.node for name in node.output if name)
    written.update({entry.name for entry in (*graph.input, *graph.initializer)})
    for node in graph.node:
        for name in node.input:
            if name and name not in written:
                raise FlowError(f"{path}: {node.name or node.op_type} reads {name}, which has no values and no writer")
    twice = [name for name, count in written.items() if count > 1]
    if twice:
        raise FlowError(f"{path}: {twice[0]} is written twice")
    for info in graph.output:
        if info.name not in written:
            raise FlowError(f"{path}: nothing writes its output {info.name}")
    if len(graph.output) > 1:
        raise FlowError(
            f"{path}: it has the outputs {', '.join(info.name for info in graph.output)}; an accelerator has one: "
            "export the network with one of them (cut the others off), or concatenate them"
        )


def _require_inputs(path: Path, graph: GraphProto) -> None:
    """Raise FlowError if a layer's parameter is an input without values."""
    valued = {tensor.name for tensor in graph.initializer}
    inputs = {info.name: info for info in graph.input if info.name not in valued}
    source = {name: name for name in inputs}
    for node in graph.node:
        if node.op_type in QUANTIZERS and node.input[0] in source:
            source[node.output[0]] = source[node.input[0]]
        for read in list(node.input)[1:]:
            if (name := source.get(read)) and node.op_type not in BINARY:
                raise FlowError(
                    f"{path}: {name}, which {node.name or node.op_type} reads, has no values in the file: export with "
                    "its initializers"
                )


def _require_memory_of_tensors(path: Path, model: ModelProto) -> None:
    """Raise FlowError if a tensor, given or computed, is larger than memory: onnxruntime would end the process."""
    try:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception:  # of several kinds: what is wrong with shapes is said when they are needed
        graph = model.graph
    for info in (*graph.input, *graph.value_info, *graph.output):
        shape = [dimension.dim_value for dimension in info.type.tensor_type.shape.dim]
        size = "x".join(map(str, shape))
        require_memory(
            COPIES * 4 * math.prod(shape), f"{path}: its tensor {info.name} of {size}", "export it for smaller images"
        )


def _values_of_pads(graph: GraphProto) -> set[str]:
    """Return the tensors that are values of Pads, and nothing else."""
    found = {node.input[2] for node in graph.node if node.op_type == "Pad" and len(node.input) > 2}
    others = {
        name
        for node in graph.node
        for position, name in enumerate(node.input)
        if node.op_type != "Pad" or position != 2
    }
    return found - others


def _constants(graph: GraphProto):
    """Yield (name, tensor) of all initializers and constants."""
    yield from ((tensor.name, tensor) for tensor in graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield node.output[0], attribute.t
