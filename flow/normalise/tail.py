"""What follows the last layer: constants a class, and functions of the whole answer, which the driver computes."""

from __future__ import annotations

import json

import numpy as np
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

from deploy.scores import classes
from flow.analysis.attributes import attributes_of
from flow.analysis.constants import Constants
from flow.graph import consumers
from flow.passes.chain import ELEMENTWISE, QUANTIZERS
from flow.passes.integer import AFFINE, affine_constants, logit_affine

from .edit import NodeRefused

TAIL = "flow_tail"  # metadata: the steps, as `deploy.scores` reads them
SHAPES = ("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity")
POINTWISE = ("Sigmoid", "Tanh", "Relu", "Exp", "Log", "Sqrt", "Abs", "Softplus", "Softsign", "Floor", "Ceil", "Round")
SHAPED = {  # attributes and what they are without one
    "LeakyRelu": {"alpha": 0.01},
    "Elu": {"alpha": 1.0},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "HardSwish": {},
}
OVER_AN_AXIS = {"Softmax": -1, "LogSoftmax": -1, "Hardmax": -1, "ArgMax": 0, "ArgMin": 0, "TopK": -1}
POOLS = {"GlobalAveragePool": "GlobalAveragePool", "AveragePool": "GlobalAveragePool"}
POOLS |= {"GlobalMaxPool": "GlobalMaxPool", "MaxPool": "GlobalMaxPool"}
FUNCTIONS = (*POINTWISE, *SHAPED, *OVER_AN_AXIS, *POOLS, "Clip", *QUANTIZERS, "Transpose", "Cast")
KNOWN = (*AFFINE, *FUNCTIONS, *SHAPES)
IN_HARDWARE = (*QUANTIZERS, *POOLS)  # where no layer is in front of them
COERCED_TO = 12  # opset
WHOLE = (TensorProto.INT64, TensorProto.INT32, TensorProto.INT16, TensorProto.INT8, TensorProto.UINT8)
COERCING = ("Softmax", "LogSoftmax", "Hardmax")  # of all axes from theirs on, up to that opset
LAYERS = ("MatMul", "Conv", "Gemm")


class SplitTail(Transformation):
    """The graph ends with its last layer; what is behind it becomes steps in the metadata.

    ``affine``: gain and offset, one or one a class. The others are functions of ONNX, over the classes.
    """

    def apply(self, model: ModelWrapper):
        nodes = _tail_nodes(model)
        layer = model.find_producer(_end(model, nodes))
        if layer is None:
            return model, False
        if layer.op_type not in LAYERS:
            _require_known(model, nodes, layer)
            nodes = nodes[: next((i for i, node in enumerate(nodes) if node.op_type in IN_HARDWARE), len(nodes))]
        end = _end(model, nodes)
        shape = model.get_tensor_shape(end)
        steps = [step for node in nodes[::-1] for step in _steps(model, node)]
        gain = _one_weight_scale(model, layer) if layer.op_type in LAYERS else None
        if gain is not None:
            steps = [{"kind": "affine", "gain": gain, "offset": 0.0}, *steps]
        steps = _merged(steps)
        for node in nodes:
            model.graph.node.remove(node)
        if layer.op_type in LAYERS:
            end = _bias_in_layer(model, layer, end, steps)
        _end_with(model, end, shape)
        if len(shape) == 4:
            steps = [{"kind": "maps", "shape": shape[1:]}, *steps]
        model.set_metadata_prop(TAIL, json.dumps(steps))
        return model, False


class SplitLastConstants(Transformation):
    """Constants that other rewritings moved to the end of a network, behind no layer, become steps as well."""

    def apply(self, model: ModelWrapper):
        node = model.find_producer(model.graph.output[0].name)
        if node is None or node.op_type not in AFFINE or len(_variables(model, node)) != 1:
            return model, False
        (end,) = _variables(model, node)
        before = model.find_producer(end)
        if before is None or before.op_type in LAYERS:
            return model, False
        steps, shape = json.loads(model.get_metadata_prop(TAIL) or "[]"), model.get_tensor_shape(node.output[0])
        gain, offset = affine_constants(model, [node], shape[1])
        model.graph.node.remove(node)
        _end_with(model, end, shape)
        model.set_metadata_prop(TAIL, json.dumps(_with_affine(gain, offset, steps)))
        return model, True


def score_steps(model: ModelWrapper) -> list[dict]:
    """Return the steps from the logits of an integer graph to the outputs of the network's file: one affine step a
    class, once maps have their shape, then functions."""
    return _with_affine(*logit_affine(model), json.loads(model.get_metadata_prop(TAIL) or "[]"))


def classes_of(model: ModelWrapper, outputs: np.ndarray) -> np.ndarray:
    """Return the classes int64 [N, ...] of ``outputs`` [N, elements] of a normalised graph: those of the scores that
    the steps of its tail make of them."""
    return classes(outputs, json.loads(model.get_metadata_prop(TAIL) or "[]"))


def _with_affine(gain, offset, steps: list[dict]) -> list[dict]:
    """Return ``steps`` with an affine one in front, once maps have their shape."""
    maps = [step for step in steps[:1] if step["kind"] == "maps"]  # before numbers a class
    return [*maps, *_merged([{"kind": "affine", "gain": gain, "offset": offset}, *steps[len(maps) :]])]


def _variables(model: ModelWrapper, node) -> list[str]:
    """Return the inputs of ``node`` that are no constants."""
    return [name for name in node.input if name and model.get_initializer(name) is None]


def _end(model: ModelWrapper, nodes: list) -> str:
    """Return the tensor in front of the tail's ``nodes``, of which the last comes first."""
    return _variables(model, nodes[-1])[0] if nodes else model.graph.output[0].name


def _end_with(model: ModelWrapper, tensor: str, shape: list[int]) -> None:
    """Make ``tensor`` the graph's output."""
    model.graph.output.remove(model.graph.output[0])
    model.graph.output.append(helper.make_tensor_value_info(tensor, TensorProto.FLOAT, shape))
    for info in [i for i in model.graph.value_info if i.name == tensor]:
        model.graph.value_info.remove(info)


def _require_known(model: ModelWrapper, nodes: list, last) -> None:
    """Raise NodeRefused if ``last``, before the tail's ``nodes``, is a function of one value that neither a quantizer
    follows nor the host computes."""
    if last.op_type not in ELEMENTWISE or last.op_type in KNOWN or len(_variables(model, last)) != 1:
        return
    if not any(node.op_type in QUANTIZERS for node in nodes):
        reason = f"behind the last layer the host computes constants and {', '.join(FUNCTIONS)}, not this"
        raise NodeRefused(last, reason, "leave it out of the file, and compute it from the scores")


def _tail_nodes(model: ModelWrapper) -> list:
    """Return the nodes between the last layer and the output, the last one first."""
    nodes, tensor = [], model.graph.output[0].name
    while (node := model.find_producer(tensor)) is not None:
        variables = _variables(model, node)
        if node.op_type not in KNOWN or len(variables) != 1:
            break
        if len(consumers(model, variables[0])) != 1 or not _is_whole(model, node):
            break
        nodes.append(node)
        tensor = variables[0]
    return nodes


def _is_whole(model: ModelWrapper, node) -> bool:
    """Return whether a pool is over the whole map, as the host's are."""
    if node.op_type not in ("AveragePool", "MaxPool"):
        return True
    given = attributes_of(node)
    return list(given["kernel_shape"]) == model.get_tensor_shape(node.input[0])[2:] and not any(given.get("pads", ()))


def _steps(model, node) -> list[dict]:
    """Return the steps that a node of the tail is; their arrays have the shapes that the file gives them."""
    given, kind = attributes_of(node), node.op_type
    before, after = (model.get_tensor_shape(name) for name in (_variables(model, node)[0], node.output[0]))
    if kind in SHAPES:
        return [] if before == after or before[1:] == after else [_shape_step(node, before, after)]
    if kind in AFFINE:
        _require_by_class(model, node, before)
        gain, offset = affine_constants(model, [node], before[1])
        return [{"kind": "affine", "gain": gain, "offset": offset}]
    if kind in OVER_AN_AXIS:
        return _over_an_axis(model, node, before)
    if kind in SHAPED:
        return [{"kind": kind, **{name: given.get(name, default) for name, default in SHAPED[kind].items()}}]
    if kind in POOLS:
        return [{"kind": POOLS[kind]}]
    if kind == "Transpose":
        return [{"kind": kind, "perm": list(given.get("perm", range(len(before))[::-1]))}]
    if kind == "Clip":
        ends = [model.get_initializer(name) if name else None for name in (*node.input[1:], "", "")[:2]]
        low, high = (given.get(name) if end is None else float(end) for name, end in zip(("min", "max"), ends))
        return [{"kind": kind, "low": low, "high": high}]
    if kind == "Cast":
        return [{"kind": kind, "whole": int(given["to"] in WHOLE)}]
    if kind in QUANTIZERS:
        _require_by_class(model, node, before)
        return [_quantizer_step(model, node, given)]
    return [{"kind": kind}]


def _shape_step(node, before, after) -> dict:
    if after[:1] != [1] or np.prod(before) != np.prod(after):
        raise NodeRefused(node, f"it turns {before} to {after}, and leaves no axis of images", "cut it off")
    return {"kind": "Reshape", "shape": after[1:]}


def _require_by_class(model, node, shape) -> None:
    """Refuse constants that are not one number, or one a class (axis 1)."""
    for name in node.input if node.op_type != "BatchNormalization" else ():
        value = model.get_initializer(name)
        if value is not None and value.size > 1:
            aligned = [1] * (len(shape) - value.ndim) + list(value.shape)
            if value.size != aligned[1] or aligned[1] != shape[1]:
                way = "use one constant a class, or cut it off"
                raise NodeRefused(node, f"its constant of shape {list(value.shape)} is not one a class", way)


def _over_an_axis(model, node, shape) -> list[dict]:
    """Return the steps of a function over an axis, of the images' shape before it."""
    given, kind, rank = attributes_of(node), node.op_type, len(shape)
    coerces = kind in COERCING and model.get_opset_imports().get("", COERCED_TO) <= COERCED_TO
    axis = given.get("axis", 1 if coerces else OVER_AN_AXIS[kind]) % rank
    if axis == 0 or (coerces and axis not in (1, rank - 1)):
        raise NodeRefused(node, f"it is over axis {axis}", "cut it off")
    if coerces and axis == 1 and rank > 2:
        flat, back = ({"kind": "Reshape", "shape": s} for s in ([int(np.prod(shape[1:]))], shape[1:]))
        return [flat, {"kind": kind, "axis": 1}, back]
    step = {"kind": kind, "axis": axis}
    if kind == "TopK":
        output = list(node.output).index(model.graph.output[0].name)
        count = int(model.get_initializer(node.input[1]).reshape(-1)[0])
        step |= {"count": count, "output": ("values", "indices")[output], "largest": given.get("largest", 1)}
    if kind in ("ArgMax", "ArgMin"):
        step |= {"keep": given.get("keepdims", 1), "last": given.get("select_last_index", 0)}
    return [step]


def _quantizer_step(model, node, given) -> dict:
    scale, *more = (_number_or_list(model.get_initializer(name)) for name in node.input[1:])
    step = {"kind": node.op_type, "scale": scale}
    if more:
        zero, bits = more
        if isinstance(bits, list):
            raise NodeRefused(node, "its classes have different numbers of bits", "use one number of bits")
        signed, narrow = given.get("signed", 1), given.get("narrow", 0)
        low = -(2.0 ** (bits - 1)) + narrow if signed else 0.0
        high = 2.0 ** (bits - signed) - 1 - (0 if signed else narrow)
        step |= {"zero": zero, "low": low, "high": high, "rounding": given.get("rounding_mode", b"ROUND").decode()}
    return step


def _one_weight_scale(model, layer):
    """Give the weights of ``layer`` one scale; return the gains [O] that are left, or None if they had one."""
    constants = Constants(model)
    given = attributes_of(layer)
    rows = layer.op_type == "Conv" or bool(given.get("transB", 0))
    weights = constants.weights(layer.input[1], dense=layer.op_type != "Conv", rows=rows)
    if weights is None or not np.ptp(weights.scale):
        return None
    quant = model.find_producer(layer.input[1])
    while quant.op_type == "Transpose":
        quant = model.find_producer(quant.input[0])
    one = weights.scale[0]
    source, scale = model.get_initializer(quant.input[0]), model.get_initializer(quant.input[1])
    for position, value in ((0, source * (one / scale)), (1, np.full_like(scale, one))):
        name = model.make_new_valueinfo_name()
        model.set_initializer(name, value.astype(np.float32))
        quant.input[position] = name
    return weights.scale / one


def _bias_in_layer(model, layer, tensor: str, steps: list[dict]) -> str:
    """Leave the offsets of classes to a layer that adds integers, so that its integers alone tell the class; return the
    graph's output."""
    quant = model.find_producer(layer.input[1])
    while quant is not None and quant.op_type == "Transpose":
        quant = model.find_producer(quant.input[0])
    first = steps[0] if steps and steps[0]["kind"] == "affine" else None
    if first is None or quant is None or quant.op_type != "Quant" or not isinstance(first["gain"], float):
        return tensor
    if first["gain"] <= 0 or not np.any(first["offset"]):
        return tensor
    shape = model.get_tensor_shape(tensor)
    offset = np.broadcast_to(np.asarray(first["offset"]) / first["gain"], shape[1])
    bias, output = model.make_new_valueinfo_name(), f"{tensor}_biased"
    model.set_initializer(bias, offset.reshape(-1, *[1] * (len(shape) - 2)).astype(np.float32))
    model.graph.node.append(helper.make_node("Add", [tensor, bias], [output], name=f"{layer.name}_bias"))
    first["offset"] = 0.0
    return output


def _merged(steps: list[dict]) -> list[dict]:
    """Return the steps with neighbouring affine ones as one, ready for JSON."""
    merged: list[dict] = []
    for step in steps:
        if step["kind"] == "affine" and merged and merged[-1]["kind"] == "affine":
            last = merged.pop()
            step = {
                "kind": "affine",
                "gain": np.asarray(last["gain"]) * step["gain"],
                "offset": np.asarray(last["offset"]) * step["gain"] + step["offset"],
            }
        merged.append(step)
    for step in merged:
        if step["kind"] == "affine":
            for name in ("gain", "offset"):
                step[name] = _number_or_list(step[name])
    return merged


def _number_or_list(values) -> float | list[float]:
    """Return values as one number where they are equal, else as a list."""
    values = np.asarray(values, np.float64).reshape(-1)
    return float(values[0]) if not np.ptp(values) else values.tolist()
