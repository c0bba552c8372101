"""The network's own outputs from the accelerator's integers: scale, offset, and what follows the last layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np


def scores(logits: np.ndarray, steps: Sequence[dict]) -> np.ndarray:
    """Return the outputs of the network's file, float64 [N, ...] (indices: int64), for logits int [N, elements].

    ``steps`` are those of the package: "maps" gives the shape [C, H, W] of logits that are maps; "affine" multiplies
    and adds, one number or one a class (axis 1); the others are ONNX's functions.
    """
    values = np.asarray(logits, np.float64)
    for step in steps:
        values = _STEPS[step["kind"]](values, step)
    return values


def class_scores(logits: np.ndarray, steps: Sequence[dict]) -> np.ndarray:
    """Return the scores float64 [N, classes], or those of every pixel [N, classes, ...], of which the largest is the
    class: those from which indices are taken, where the network ends with indices."""
    values, axis = np.asarray(logits, np.float64), 1
    for step in steps:
        axis = step.get("axis", axis)
        if step["kind"] in ("ArgMax", "ArgMin", "TopK"):
            if step["kind"] == "ArgMin" or not step.get("largest", 1):
                values = -values
            break
        values = _STEPS[step["kind"]](values, step)
        if step["kind"] == "Transpose":
            axis = step["perm"].index(axis)
        elif step["kind"] == "Reshape":
            axis = 1
    if math.prod(values.shape[2:]) == 1:  # no pixels
        return values.reshape(len(values), -1)
    return np.moveaxis(values, axis, 1)


def classes(logits: np.ndarray, steps: Sequence[dict]) -> np.ndarray:
    """Return the class int64 [N] of logits int [N, elements], or that of every pixel [N, ...]."""
    return class_scores(logits, steps).argmax(axis=1)


def _classwise(numbers, values: np.ndarray) -> np.ndarray:
    numbers = np.asarray(numbers, np.float64)
    return numbers.reshape(-1, *[1] * (values.ndim - 2)) if numbers.ndim else numbers


def _maps(values, step):
    channels, height, width = step["shape"]
    return values.reshape(len(values), height, width, channels).transpose(0, 3, 1, 2)


def _softmax(values, step):
    axis = step.get("axis", 1)
    powers = np.exp(values - values.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def _log_softmax(values, step):
    axis = step.get("axis", 1)
    shifted = values - values.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def _index(values, step, sign=1):
    """Return the index of the largest of values times ``sign``: the first of equal ones, or the last."""
    axis, values = step.get("axis", 1), sign * values
    if step.get("last", 0):
        found = values.shape[axis] - 1 - np.flip(values, axis).argmax(axis=axis)
    else:
        found = values.argmax(axis=axis)
    return np.expand_dims(found, axis) if step.get("keep", 1) else found


def _hardmax(values, step):
    axis = step["axis"]
    places = np.arange(values.shape[axis]).reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    return (places == _index(values, step)).astype(np.float64)


def _top(values, step):
    axis = step.get("axis", 1)
    order = np.argsort(-values if step["largest"] else values, axis=axis, kind="stable")
    order = order.take(np.arange(step["count"]), axis=axis)
    return order if step["output"] == "indices" else np.take_along_axis(values, order, axis=axis)


def _hard_sigmoid(values, alpha, beta):
    return np.clip(alpha * values + beta, 0, 1)


ROUNDINGS = {  # UP is away from 0, DOWN towards it
    "FLOOR": np.floor,
    "CEIL": np.ceil,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "DOWN": np.trunc,
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
}


def _quant(values, step):
    rounds = ROUNDINGS.get(step["rounding"].upper(), np.rint)
    scale, zero = _classwise(step["scale"], values), _classwise(step["zero"], values)
    integers = np.clip(rounds(values / scale + zero), step["low"], step["high"])
    return (integers - zero) * scale


_STEPS: dict[str, Callable] = {
    "maps": _maps,
    "affine": lambda values, step: values * _classwise(step["gain"], values) + _classwise(step["offset"], values),
    "Softmax": _softmax,
    "LogSoftmax": _log_softmax,
    "Sigmoid": lambda values, step: 1 / (1 + np.exp(-values)),
    "Tanh": lambda values, step: np.tanh(values),
    "Relu": lambda values, step: np.maximum(values, 0),
    "Exp": lambda values, step: np.exp(values),
    "Log": lambda values, step: np.log(values),
    "Sqrt": lambda values, step: np.sqrt(values),
    "Abs": lambda values, step: np.abs(values),
    "Floor": lambda values, step: np.floor(values),
    "Ceil": lambda values, step: np.ceil(values),
    "Round": lambda values, step: np.rint(values),
    "Softplus": lambda values, step: np.logaddexp(values, 0),
    "Softsign": lambda values, step: values / (1 + np.abs(values)),
    "LeakyRelu": lambda values, step: np.where(values < 0, step["alpha"] * values, values),
    "Elu": lambda values, step: np.where(values < 0, step["alpha"] * np.expm1(np.minimum(values, 0)), values),
    "HardSigmoid": lambda values, step: _hard_sigmoid(values, step["alpha"], step["beta"]),
    "HardSwish": lambda values, step: values * _hard_sigmoid(values, 1 / 6, 0.5),
    "Clip": lambda values, step: np.clip(values, step["low"], step["high"]),
    "Cast": lambda values, step: np.trunc(values) if step["whole"] else values,
    "Reshape": lambda values, step: values.reshape(len(values), *step["shape"]),
    "Transpose": lambda values, step: values.transpose(step["perm"]),
    "GlobalAveragePool": lambda values, step: values.mean(axis=tuple(range(2, values.ndim)), keepdims=True),
    "GlobalMaxPool": lambda values, step: values.max(axis=tuple(range(2, values.ndim)), keepdims=True),
    "ArgMax": _index,
    "ArgMin": lambda values, step: _index(values, step, -1),
    "Hardmax": _hardmax,
    "TopK": _top,
    "BipolarQuant": lambda values, step: np.where(values >= 0, 1, -1) * _classwise(step["scale"], values),
    "Quant": _quant,
}
