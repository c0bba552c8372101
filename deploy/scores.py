"""The network's own outputs from the accelerator's integers: scale, offset, and what follows the last layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


def scores(logits: np.ndarray, steps: Sequence[dict]) -> np.ndarray:
    """Return the outputs of the network's file, float64 [N, ...] (indices: int64), for logits int [N, elements].

    ``steps`` are those of the package: "maps" gives the shape [C, H, W] of logits that are maps; "mean" is that over
    the pixels; "affine" multiplies and adds, one number or one a class; the others are ONNX's functions, over the
    classes.
    """
    values = np.asarray(logits, np.float64)
    for step in steps:
        values = _STEPS[step["kind"]](values, step)
    return values


def class_scores(logits: np.ndarray, steps: Sequence[dict]) -> np.ndarray:
    """Return the scores float64 [N, classes], or those of every pixel [N, classes, H, W], of which the largest is the
    class: those from which ArgMax or TopK take indices, where the network ends with these."""
    kinds = [step["kind"] for step in steps]
    count = next((index for index, kind in enumerate(kinds) if kind in ("ArgMax", "TopK")), len(kinds))
    return scores(logits, steps[:count])


def classes(logits: np.ndarray, steps: Sequence[dict]) -> np.ndarray:
    """Return the class int64 [N] of logits int [N, elements], or that of every pixel [N, H, W]."""
    return class_scores(logits, steps).argmax(axis=1)


def _classwise(numbers, values: np.ndarray) -> np.ndarray:
    numbers = np.asarray(numbers, np.float64)
    return numbers.reshape(-1, *[1] * (values.ndim - 2)) if numbers.ndim else numbers


def _maps(values, step):
    channels, height, width = step["shape"]
    return values.reshape(len(values), height, width, channels).transpose(0, 3, 1, 2)


def _softmax(values, step):
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _log_softmax(values, step):
    shifted = values - values.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _top(values, step):
    order = np.argsort(-values if step["largest"] else values, axis=1, kind="stable")[:, : step["count"]]
    return order if step["output"] == "indices" else np.take_along_axis(values, order, axis=1)


def _quant(values, step):
    rounds = {"FLOOR": np.floor, "CEIL": np.ceil}.get(step["rounding"].upper(), np.rint)
    scale, zero = _classwise(step["scale"], values), _classwise(step["zero"], values)
    integers = np.clip(rounds(values / scale + zero), step["low"], step["high"])
    return (integers - zero) * scale


_STEPS: dict[str, Callable] = {
    "maps": _maps,
    "mean": lambda values, step: values.mean(axis=(2, 3)),
    "flatten": lambda values, step: values.reshape(len(values), -1),
    "affine": lambda values, step: values * _classwise(step["gain"], values) + _classwise(step["offset"], values),
    "Softmax": _softmax,
    "LogSoftmax": _log_softmax,
    "Sigmoid": lambda values, step: 1 / (1 + np.exp(-values)),
    "Tanh": lambda values, step: np.tanh(values),
    "Clip": lambda values, step: np.clip(values, step["low"], step["high"]),
    "ArgMax": lambda values, step: values.argmax(axis=1)[:, None],
    "TopK": _top,
    "BipolarQuant": lambda values, step: np.where(values >= 0, 1, -1) * _classwise(step["scale"], values),
    "Quant": _quant,
}
