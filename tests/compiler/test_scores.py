"""``scores`` of ``deploy run``: an affine function a class of the integer logits, then what ends the network."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from flow.normalise.edit import NodeRefused
from flow.normalise.tail import score_steps

from .random_files import Value, Writer, images_of
from .written import CLASSES, SIGNS, deploy_run, flat, image, integers, save, writer


def classwise(w: Writer, x: Value, low: float, high: float) -> np.ndarray:
    """Return a random number for every class."""
    return w.rng.uniform(low, high, (x.data.shape[1],) + (1,) * (x.data.ndim - 2))


def bias(w, x):
    return w.affine("Add", x, classwise(w, x, -1, 1) * float(x.data.std()))


def scale(w, x):
    return w.affine("Mul", x, classwise(w, x, 0.5, 2))


def turn(w, x):
    return w.affine("Mul", x, classwise(w, x, 0.5, 2) * np.where(classwise(w, x, -1, 1) < 0, -1, 1))


def divide(w, x):
    spread = np.float32(x.data.std())
    return w.node("Div", [x.name, w.constant(spread)], x.data / float(spread))


def subtract_from(w, x):
    return w.node("Sub", [w.constant(np.float32(0.3)), x.name], 0.3 - x.data)


def norm(w, x):
    return w.norm(x)


def softmax(w, x):
    return w.node("Softmax", [x.name], torch.softmax(x.data, 1), axis=1)


def log_softmax(w, x):
    return w.node("LogSoftmax", [x.name], torch.log_softmax(x.data, 1), axis=1)


def sigmoid(w, x):
    return w.node("Sigmoid", [x.name], torch.sigmoid(x.data))


def tanh(w, x):
    return w.node("Tanh", [x.name], torch.tanh(x.data))


def relu(w, x):
    return w.node("Relu", [x.name], torch.relu(x.data))


def clip(w, x):
    bounds = [w.constant(np.float32(v)) for v in (-0.5, 0.8)]
    return w.node("Clip", [x.name, *bounds], torch.clamp(x.data, -0.5, 0.8))


def clip_above(w, x):
    return w.node("Clip", [x.name, "", w.constant(np.float32(0.8))], torch.clamp(x.data, max=0.8))


def argmax(w, x):
    return w.node("ArgMax", [x.name], x.data.argmax(1, keepdim=True), axis=1, keepdims=1)


def argmax_alone(w, x):
    return w.node("ArgMax", [x.name], x.data.argmax(1), axis=1, keepdims=0)


def _top(w, x, output):
    found = w.node("TopK", [x.name, w.constant(np.array([3]))], x.data.topk(3, 1)[output], axis=1)
    names = [f"{found.name}_values", f"{found.name}_indices"]
    names[output] = found.name
    w.nodes[-1].output[:] = names
    return found


def top_values(w, x):
    return _top(w, x, 0)


def top_indices(w, x):
    return _top(w, x, 1)


def levels(w, x):
    return w.quant(x, 6, signed=True)


ENDS = {  # constants, then functions
    "sums": ((), ()),
    "bias": ((bias,), ()),
    "scales of both signs and bias": ((turn, bias), ()),
    "norm": ((norm,), ()),
    "division": ((divide, subtract_from), ()),
    "softmax": ((divide,), (softmax,)),
    "bias, softmax": ((bias, divide), (softmax,)),
    "scale, log-softmax": ((scale, divide), (log_softmax,)),
    "norm, sigmoid": ((norm,), (sigmoid,)),
    "norm, tanh": ((norm,), (tanh,)),
    "bias, relu": ((bias,), (relu,)),
    "norm, clip": ((norm,), (clip,)),
    "division, clip above": ((divide,), (clip_above,)),
    "norm, argmax": ((norm,), (argmax,)),
    "turn, argmax without its axis": ((turn,), (argmax_alone,)),
    "turn, best values": ((turn,), (top_values,)),
    "norm, best indices": ((norm,), (top_indices,)),
    "softmax, argmax": ((norm,), (softmax, argmax)),
    "levels": ((norm,), (levels,)),
}
LAST = {"bits": ("1", False), "4 bits": ("4", False), "8 bits, scales a class": ("8", True)}


def sums_of_row(w: Writer, weights: str, channel_scales: bool) -> Value:
    x = flat(w, w.layer(image(w), SIGNS))
    return w.layer(x, replace(CLASSES, weights=weights, channel_scales=channel_scales))


def sums_of_map(w: Writer, weights: str, channel_scales: bool) -> Value:
    return w.layer(w.layer(image(w), SIGNS), replace(CLASSES, weights=weights, channel_scales=channel_scales))


def straight_lines(integers: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return values [N, classes, ...], each class by the straight line of its integers that is nearest."""
    lines = np.empty_like(values)
    for index in range(values.shape[1]):
        gain, offset = np.polyfit(integers[:, index].ravel(), values[:, index].ravel(), 1)
        lines[:, index] = gain * integers[:, index] + offset
    return lines


def values_of(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return of values [N, classes, ...] those of the given classes [N, count, ...] or [N, ...]."""
    if classes.ndim < values.ndim:
        classes = classes[:, None]
    return np.take_along_axis(values, classes.astype(np.int64), axis=1)


def require_scores(w: Writer, sums: Value, end: str, folder) -> None:
    constants, functions = ENDS[end]
    affine = sums
    for part in constants:
        affine = part(w, affine)
    output = affine
    for part in functions:
        output = part(w, output)
    model, approximation = integers(save(w, output, folder / "network.onnx"), w)
    assert approximation.tensors == 0

    result = deploy_run(model, images_of(w.file), folder)
    logits, found = np.array(result["logits"]), np.array(result["scores"], np.float64)
    real, expected = affine.data.double().numpy(), output.data.double().numpy()
    if real.ndim == 4:
        logits = logits.reshape(len(real), *real.shape[2:], real.shape[1]).transpose(0, 3, 1, 2)
    assert np.abs(straight_lines(logits, real) - real).max() <= 1e-5 * np.ptp(real)
    found = found.reshape(expected.shape)
    if not output.data.is_floating_point():  # classes: their values count, as rounding parts equal ones
        found, expected = values_of(real, found), values_of(real, expected)
    assert np.abs(found - expected).max() <= 1e-5 * np.ptp(expected)
    kinds = [step["kind"] for step in score_steps(model) if step["kind"] != "maps"]
    assert kinds[0] == "affine" and kinds.count("affine") == 1 and len(kinds) == 1 + len(functions)


@pytest.mark.parametrize("end", ENDS)
def test_scores_of_classes(end, tmp_path):
    weights = list(LAST.values())[list(ENDS).index(end) % len(LAST)]
    w = writer()
    require_scores(w, sums_of_row(w, *weights), end, tmp_path)


@pytest.mark.parametrize("weights", LAST)
@pytest.mark.parametrize("end", ["sums", "turn, argmax without its axis", "bias, softmax"])
def test_scores_of_maps(end, weights, tmp_path):
    w = writer()
    require_scores(w, sums_of_map(w, *LAST[weights]), end, tmp_path)


def of_map(w: Writer) -> Value:
    return sums_of_map(w, "4", False)


def mean(w, x, rows=False):
    x = w.node("GlobalAveragePool", [x.name], x.data.mean((2, 3), keepdim=True), x.quantized)
    return flat(w, x) if rows else x


def max_pool_of_unsigned(w):
    return w.pool(w.layer(w.layer(image(w), SIGNS), replace(SIGNS, activation="relu", bits=4)), "max")


def sum_of_streams(w):
    x = w.layer(image(w), SIGNS)
    y = w.layer(x, replace(CLASSES, features=SIGNS.features, norm=True))
    return w.quant(w.node("Add", [x.name, y.name], x.data + y.data), 8, signed=True)


def bend(w):
    x = w.layer(flat(w, w.layer(image(w), SIGNS)), CLASSES)
    x = w.node("LeakyRelu", [x.name], torch.nn.functional.leaky_relu(x.data, 0.1), alpha=0.1)
    return w.quant(x, 4, signed=True)


def scales_of_classes(w):
    x = norm(w, w.layer(flat(w, w.layer(image(w), SIGNS)), CLASSES))
    scales = w.rng.uniform(0.05, 0.2, (1, 10)).astype(np.float32)
    constants = [w.constant(scales), w.constant(np.float32(0)), w.constant(np.float32(5))]
    data = torch.clamp(torch.round(x.data / torch.from_numpy(scales)), -16, 15) * torch.from_numpy(scales)
    attributes = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"}
    return w.node("Quant", [x.name, *constants], data, True, "qonnx.custom_op.general", **attributes)


OTHER_ENDS = {
    "mean of maps": lambda w: mean(w, of_map(w)),
    "norm, mean, softmax": lambda w: softmax(w, mean(w, norm(w, of_map(w)), rows=True)),
    "relu, mean, argmax": lambda w: argmax(w, mean(w, relu(w, of_map(w)), rows=True)),
    "maps as a row, softmax": lambda w: softmax(w, divide(w, flat(w, of_map(w)))),
    "mean of quantized maps, softmax": lambda w: softmax(w, mean(w, w.quant(of_map(w), 6, signed=True), rows=True)),
    "maximum of unsigned maps": max_pool_of_unsigned,
    "quantizer behind a bend": bend,
    "scales of classes": scales_of_classes,
}


@pytest.mark.parametrize("end", OTHER_ENDS)
def test_ends_that_are_no_row_of_sums(end, tmp_path):
    w = writer()
    output = OTHER_ENDS[end](w)
    model, _ = integers(save(w, output, tmp_path / "network.onnx"), w)
    found = np.array(deploy_run(model, images_of(w.file), tmp_path)["scores"], np.float64)
    expected = output.data.double().numpy()
    assert np.abs(found.reshape(expected.shape) - expected).max() <= 1e-5 * np.ptp(expected)


def test_maps_of_a_residual_sum(tmp_path):
    """Its sum is calibrated, so it is near and not equal."""
    w = writer()
    output = sum_of_streams(w)
    model, approximation = integers(save(w, output, tmp_path / "network.onnx"), w)
    found = np.array(deploy_run(model, images_of(w.file), tmp_path)["scores"])
    expected = output.data.double().numpy()
    assert found.shape == expected.shape and approximation.tensors
    assert np.abs(found - expected).max() <= 0.02 * np.ptp(expected)


@pytest.mark.parametrize("end", ["turn, argmax without its axis", "norm, best indices", "bias, softmax", "sums"])
def test_the_class_is_that_of_the_largest_score(end, tmp_path):
    """Not of the largest integer: a class may have a scale of its own."""
    w = writer()
    constants, functions = ENDS[end]
    x = sums_of_row(w, "8", True)
    for part in constants:
        x = part(w, x)
    wanted = x.data.argmax(1).numpy()
    for part in functions:
        x = part(w, x)
    model, _ = integers(save(w, x, tmp_path / "network.onnx"), w)
    result = deploy_run(model, images_of(w.file), tmp_path)
    assert result["classes"] == wanted.tolist()
    if "turn" in end:
        assert result["classes"] != np.argmax(result["logits"], axis=1).tolist()


def test_an_end_that_the_driver_does_not_compute_is_refused_by_name(tmp_path):
    w = writer()
    x = sums_of_row(w, "4", False)
    x = w.node("Mul", [x.name, w.node("Sigmoid", [x.name], None).name], torch.nn.functional.silu(x.data))
    message = r"\(Sigmoid and Mul\): behind the last layer the host computes .*; leave it out"
    with pytest.raises(NodeRefused, match=message):
        integers(save(w, x, tmp_path / "network.onnx"), w)
