"""What follows the last layer: constants a class, and functions of the whole answer, which the driver computes."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

from flow.analysis.attributes import attributes_of
from flow.analysis.constants import Constants
from flow.errors import FlowError
from flow.graph import consumers
from flow.passes.chain import CURVED, QUANTIZERS
from flow.passes.integer import AFFINE, affine_constants, logit_affine

from .edit import NodeRefused

TAIL = "flow_tail"  # metadata: the steps, as `deploy.scores` reads them
SHAPES = ("Flatten", "Reshape", "Squeeze", "Identity", "Unsqueeze")
CLIPS = ("Relu", "Clip", "HardSigmoid")
FUNCTIONS = ("Softmax", "LogSoftmax", "Sigmoid", "ArgMax", "TopK", "Tanh", *CLIPS, *QUANTIZERS)
ENDLESS = (*CURVED, "LeakyRelu", "PRelu", "Max", "Min")
MEAN = "GlobalAveragePool"
LAYERS = ("MatMul", "Conv", "Gemm")


class SplitTail(Transformation):
    """The graph ends with its last layer; what is behind it becomes steps in the metadata.

    ``affine``: gain and offset, one or one a class. The others are functions of ONNX, over the classes.
    """

    def apply(self, model: ModelWrapper):
        nodes = _tail_nodes(model)
        end = _variable_input(model, nodes[-1]) if nodes else model.graph.output[0].name
        producer = model.find_producer(end)
        if producer is None:
            return model, False
        layer = producer if producer.op_type in LAYERS else None
        if layer is None:
            _require_known(model, nodes, producer)
            nodes = nodes[: next((i for i, node in enumerate(nodes) if node.op_type in QUANTIZERS), len(nodes))]
            end = _variable_input(model, nodes[-1]) if nodes else model.graph.output[0].name
        shape = model.get_tensor_shape(end)
        steps = _steps(model, nodes[::-1], shape)
        gain = None if layer is None else _one_weight_scale(model, layer)
        if gain is not None:
            steps = [{"kind": "affine", "gain": gain, "offset": 0.0}, *steps]
        means, steps = _means_first(_merged(steps))
        for node in nodes:
            model.graph.node.remove(node)
        if layer is not None:
            end = _bias_in_layer(model, layer, end, steps)
        _end_with(model, end, shape)
        maps = [{"kind": "maps", "shape": shape[1:]}] if len(shape) == 4 else []
        model.set_metadata_prop(TAIL, json.dumps([*maps, *means, *steps]))
        return model, False


class SplitLastConstants(Transformation):
    """Constants that other rewritings moved to the end of a network whose last node is no layer become steps as
    well."""

    def apply(self, model: ModelWrapper):
        node = model.find_producer(model.graph.output[0].name)
        before = model.find_producer(_variable_input(model, node)) if node is not None else None
        if before is None or node.op_type not in AFFINE or before.op_type in LAYERS or _variables(model, node) != 1:
            return model, False
        steps, shape = json.loads(model.get_metadata_prop(TAIL) or "[]"), model.get_tensor_shape(node.output[0])
        gain, offset = affine_constants(model, [node], shape[1])
        lead, rest = _lead(steps)
        merged = _merged([{"kind": "affine", "gain": gain, "offset": offset}, *rest])
        end = _variable_input(model, node)
        model.graph.node.remove(node)
        _end_with(model, end, shape)
        model.set_metadata_prop(TAIL, json.dumps([*lead, *merged]))
        return model, True


def score_steps(model: ModelWrapper) -> list[dict]:
    """Return the steps from the logits of an integer graph to the outputs of the network's file: one affine step a
    class, once maps have their shape, then functions."""
    gain, offset = logit_affine(model)
    steps = json.loads(model.get_metadata_prop(TAIL) or "[]")
    lead, rest = _lead(steps)
    return [*lead, *_merged([{"kind": "affine", "gain": gain, "offset": offset}, *rest])]


def _lead(steps: list[dict]) -> tuple[list[dict], list[dict]]:
    """Return the steps that give maps their shape and reduce them to their means, and those behind these."""
    lead = list(itertools.takewhile(lambda step: step["kind"] in ("maps", "mean"), steps))
    return lead, steps[len(lead) :]


def _means_first(steps: list[dict]) -> tuple[list[dict], list[dict]]:
    """Return the mean over pixels, if constants alone stand before it, and the other steps: the mean of a * x + b is
    a * mean + b."""
    kinds = [step["kind"] for step in steps]
    if "mean" not in kinds or any(kind != "affine" for kind in kinds[: kinds.index("mean")]):
        return [], steps
    index = kinds.index("mean")
    return [steps[index]], _merged([*steps[:index], *steps[index + 1 :]])


def _variables(model: ModelWrapper, node) -> int:
    return sum(model.get_initializer(name) is None for name in node.input if name)


def _variable_input(model: ModelWrapper, node) -> str:
    """Return the first input that is no constant."""
    return next(name for name in node.input if name and model.get_initializer(name) is None)


def _end_with(model: ModelWrapper, tensor: str, shape: list[int]) -> None:
    """Make ``tensor`` the graph's output."""
    model.graph.output.remove(model.graph.output[0])
    model.graph.output.append(helper.make_tensor_value_info(tensor, TensorProto.FLOAT, shape))
    for info in [i for i in model.graph.value_info if i.name == tensor]:
        model.graph.value_info.remove(info)


def _tail_nodes(model: ModelWrapper) -> list:
    """Return the nodes between the last layer and the output, the last one first."""
    nodes, tensor = [], model.graph.output[0].name
    while (node := model.find_producer(tensor)) is not None:
        variables = [name for name in node.input if name and model.get_initializer(name) is None]
        if node.op_type not in (*AFFINE, *FUNCTIONS, *SHAPES, MEAN) or len(variables) != 1:
            break
        if len(consumers(model, variables[0])) != 1:
            break
        nodes.append(node)
        tensor = variables[0]
    return nodes


def _require_known(model: ModelWrapper, nodes: list, producer) -> None:
    """Raise NodeRefused if a function ends the network that neither a quantizer follows nor the driver computes."""
    if producer is None or producer.op_type not in ENDLESS or any(node.op_type in QUANTIZERS for node in nodes):
        return
    if _variables(model, producer) == 1:
        reason = f"behind the last layer the driver computes {', '.join(FUNCTIONS)} and constants, not this"
        raise NodeRefused(producer, reason, "leave it out of the file, and compute it from the scores")


def _steps(model, nodes, shape: list[int]) -> list[dict]:
    """Return the steps of the tail's ``nodes``, in order, behind a tensor of this shape."""
    steps: list[dict] = []
    classes, pixels = shape[1], math.prod(shape[2:])
    for node in nodes:
        given = attributes_of(node)
        if node.op_type in SHAPES:
            if pixels > 1 and len(model.get_tensor_shape(node.output[0])) == 2:
                classes, pixels = classes * pixels, 1
                steps.append({"kind": "flatten"})
            continue
        if node.op_type == MEAN:
            pixels = 1
            steps.append({"kind": "mean"})
            continue
        if node.op_type in AFFINE:
            gain, offset = affine_constants(model, [node], classes)
            steps.append({"kind": "affine", "gain": gain, "offset": offset})
        elif node.op_type in ("Softmax", "LogSoftmax", "ArgMax", "TopK"):
            rank = len(model.get_tensor_shape(node.input[0]))
            axis = given.get("axis", {"Softmax": -1, "LogSoftmax": -1, "ArgMax": 0, "TopK": -1}[node.op_type]) % rank
            if axis != 1:
                raise FlowError(f"{node.name} ({node.op_type}) is over axis {axis}, not over the classes: cut it off")
            step = {"kind": node.op_type}
            if node.op_type == "TopK":
                output = list(node.output).index(model.graph.output[0].name)
                count = int(model.get_initializer(node.input[1]).reshape(-1)[0])
                step |= {"count": count, "output": ("values", "indices")[output], "largest": given.get("largest", 1)}
            steps.append(step)
        elif node.op_type in CLIPS:
            if node.op_type == "HardSigmoid":
                alpha, beta = given.get("alpha", 0.2), given.get("beta", 0.5)
                steps.append({"kind": "affine", "gain": float(alpha), "offset": float(beta)})
            low, high = _clip_bounds(model, node, given)
            steps.append({"kind": "Clip", "low": low, "high": high})
        elif node.op_type in QUANTIZERS:
            scale, *more = (_number_or_list(model.get_initializer(name)) for name in node.input[1:])
            step = {"kind": node.op_type, "scale": scale}
            if more:
                zero, bits = more
                signed, narrow = given.get("signed", 1), given.get("narrow", 0)
                low = -(2.0 ** (bits - 1)) + narrow if signed else 0.0
                high = 2.0 ** (bits - signed) - 1 - (0 if signed else narrow)
                step |= {
                    "zero": zero,
                    "low": low,
                    "high": high,
                    "rounding": given.get("rounding_mode", b"ROUND").decode(),
                }
            steps.append(step)
        else:
            steps.append({"kind": node.op_type})
    return steps


def _clip_bounds(model, node, given: dict) -> tuple[float | None, float | None]:
    """Return the bounds of a Relu, Clip or HardSigmoid; None where there is none."""
    if node.op_type != "Clip":
        return 0.0, 1.0 if node.op_type == "HardSigmoid" else None
    bounds = [given.get("min"), given.get("max")]  # attributes up to opset 10
    for index, name in enumerate(node.input[1:3]):
        if name:
            bounds[index] = float(model.get_initializer(name).reshape(-1)[0])
    return bounds[0], bounds[1]


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
    values = np.asarray(values, np.float64)
    return float(values.flat[0]) if not np.ptp(values) else values.ravel().tolist()
