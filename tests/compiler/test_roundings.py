"""Every rounding that QONNX and Brevitas have, of quantizers of several kinds, against the file's own answers."""

import numpy as np
import pytest
from qonnx.custom_op.general.quant import resolve_rounding_mode

from .test_other_networks import EXACT, QUANT_DOMAIN, File, answers, near

ROUNDINGS = ("ROUND", "FLOOR", "CEIL", "UP", "DOWN", "HALF_UP", "HALF_DOWN", "HALF_EVEN")


def quantized(g, rounding, bits, **kind):
    return g.bits(g.quant(g.stem(), 4 / 2**bits, bits, rounding=rounding, **kind))


KINDS = {
    "signed": lambda g, rounding: quantized(g, rounding, 4),
    "of halves": lambda g, rounding: g.bits(
        g.quant(
            g.conv(g.image(), g.integer_weights(4, 2, 3, 3, scale=0.5, bits=3), pads=[1] * 4),
            0.25,
            8,
            rounding=rounding,
        )
    ),
    "unsigned": lambda g, rounding: quantized(g, rounding, 3, signed=0),
    "narrow": lambda g, rounding: quantized(g, rounding, 3, narrow=1),
    "one unsigned bit": lambda g, rounding: quantized(g, rounding, 1, signed=0),
    "zero point": lambda g, rounding: quantized(g, rounding, 4, signed=0, zero=5.0),
    "behind ReLU": lambda g, rounding: g.bits(g.quant(g.node("Relu", g.stem()), 0.25, 4, signed=0, rounding=rounding)),
    "of the image": lambda g, rounding: g.bits(g.quant(g.stem(g.quant("image", 1 / 7, 4, rounding=rounding)), 0.25, 4)),
}


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_quantizer(kind, rounding, tmp_path):
    g = File(1, 2, 6, 6)
    path = g.save(tmp_path / "network.onnx", KINDS[kind](g, rounding))
    found, expected, tensors, _ = answers(path)
    assert not tensors and np.abs(found - expected).max() <= EXACT * np.ptp(expected)


def test_the_rounding_of_brevitas_towards_zero(tmp_path):
    """QONNX calls it DOWN, and does not know its other name."""
    with pytest.raises(ValueError, match="ROUND_TO_ZERO"):
        resolve_rounding_mode("ROUND_TO_ZERO")
    answer = []
    for name in ("ROUND_TO_ZERO", "DOWN", "ROUND"):
        g = File(1, 2, 6, 6)
        path = g.save(tmp_path / f"{name}.onnx", KINDS["signed"](g, name))
        answer.append(answers(path)[0])
    np.testing.assert_array_equal(answer[0], answer[1])
    assert (answer[0] != answer[2]).any()


@pytest.mark.parametrize("steps", [63, 255])
def test_many_thresholds_at_any_distance(steps, tmp_path):
    g = File(1, 2, 6, 6)
    thresholds = np.sort(g.rng.normal(size=(4, steps)) * 2, axis=1)
    x = g.node("MultiThreshold", g.stem(), thresholds, domain=QUANT_DOMAIN, out_dtype="UINT8")
    near(g.save(tmp_path / "network.onnx", g.bits(x)))
