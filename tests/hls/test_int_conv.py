"""hls/int_conv.hpp against its node."""

from collections import namedtuple

import numpy as np
import pytest

from flow.emit.hls_nodes import call_of
from flow.graph import Node
from flow.sim.cpp import CompileError
from tests.ops.nodes import hardware_op

from .harness import Case, instance, label, run_cases

FIELDS = "inputs outputs pixels pe simd in_bits weight_bits out_bits acc_bits shift multiplier_bits"
Shape = namedtuple("Shape", FIELDS, defaults=[0])  # no multipliers
STEM = Shape(27, 16, 1024, 4, 3, 8, 8, 10, 21, 7)
CLASSIFIER = Shape(512, 10, 1, 1, 8, 10, 8, 32, 28, 0)
SHAPES = [
    Shape(1, 1, 3, 1, 1, 8, 8, 8, 17, 0),  # saturates nearly always
    Shape(6, 4, 5, 2, 6, 4, 3, 9, 18, 8, 9),  # multipliers
    Shape(12, 6, 4, 6, 4, 8, 8, 16, 40, 5),  # a 64-bit accumulator
    Shape(6, 4, 5, 2, 6, 4, 3, 9, 10, 1),
    Shape(27, 64, 64, 8, 27, 8, 8, 10, 21, 7),
    Shape(64, 8, 9, 4, 16, 9, 2, 10, 17, 4),  # weights of -2 to 1
    Shape(64, 8, 9, 4, 16, 9, 2, 10, 28, 12, 12),
    Shape(9, 3, 20, 1, 3, 8, 8, 8, 20, 6, 2),  # multipliers of -2 to 1
    Shape(27, 16, 20, 4, 3, 8, 8, 10, 53, 38, 32),  # products, biases and shifts beyond 32 bits
    STEM,
    CLASSIFIER,
]


def node(shape):
    return hardware_op(
        "IntConv",
        height=1,
        width=shape.pixels,
        channels=shape.inputs,
        features=shape.outputs,
        pe=shape.pe,
        simd=shape.simd,
        bits=shape.in_bits,
        weight_bits=shape.weight_bits,
        out_bits=shape.out_bits,
        acc_bits=shape.acc_bits,
        shift=shape.shift,
    )


def signed(rng, bits, size):
    return rng.integers(-(1 << bits - 1), 1 << bits - 1, size)


def data(shape):
    """Windows and the node's constants; output 0 of window 0 is the largest sum there can be, by the lowest multiplier."""
    rng = np.random.default_rng(shape.inputs)
    windows = signed(rng, shape.in_bits, (2 * shape.pixels, shape.inputs))
    weights = signed(rng, shape.weight_bits, (shape.outputs, shape.inputs))
    bias = signed(rng, min(shape.out_bits + shape.shift, shape.acc_bits - 2), shape.outputs)
    windows[0], weights[0] = -(1 << shape.in_bits - 1), -(1 << shape.weight_bits - 1)
    if not shape.multiplier_bits:
        return windows, weights, bias
    multiplier = signed(rng, shape.multiplier_bits, shape.outputs)
    multiplier[0], multiplier[-1] = -(1 << shape.multiplier_bits - 1), (1 << shape.multiplier_bits - 1) - 1
    return windows, weights, bias, multiplier


def reference(shape):
    windows, weights, bias, *multiplier = data(shape)
    totals = (windows @ weights.T) * (multiplier[0] if multiplier else 1) + bias
    assert np.abs(totals).max() < 1 << shape.acc_bits - 1
    return node(shape).evaluate(windows, weights, bias, *multiplier).reshape(-1, shape.pe)


def case(shape):
    windows, *constants = data(shape)
    call = call_of(Node(node(shape), ("in",), ("out",), tuple(constants)))
    tables = {table.suffix: (table.ctype, table.values.astype(table.ctype.removesuffix("_t"))) for table in call.tables}
    return Case(
        label(shape),
        instance(call.function, *call.parameters.values()),
        inputs={"in": (windows.reshape(-1, shape.simd), shape.in_bits)},
        outputs={"out": (shape.pe, shape.out_bits)},
        tables=tables,
        arguments=("in", "out", *tables),
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_cases("int_conv", [case(s) for s in SHAPES], tmp_path_factory.mktemp("int_conv"))


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_equals_its_node(results, shape):
    assert np.array_equal(results[label(shape)].outputs["out"], reference(shape))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pe": 3}, "Pe must divide Outputs"),
        ({"simd": 4}, "Simd must divide Inputs"),
        ({"weight_bits": 9}, "8-bit weights"),
        ({"shift": 10}, "Shift < AccBits"),
    ],
    ids=["pe", "simd", "weight_bits", "shift"],
)
def test_refuses_parameters(tmp_path, changed, message):
    """The tables and streams are as wide as the wrong parameters ask for."""
    shape = Shape(6, 4, 5, 2, 6, 4, 3, 9, 10, 1)._replace(**changed)
    words = shape.outputs // shape.pe * (shape.inputs // shape.simd)
    zeros = np.zeros((shape.pe, words, shape.simd), np.int8)
    tables = {"weights": ("int8_t", zeros), "bias": ("int32_t", np.zeros(shape.outputs, np.int32))}
    wrong = Case(
        "wrong",
        instance("int_conv", *shape[:-1]),
        inputs={"in": (np.zeros((1, shape.simd), int), shape.in_bits)},
        outputs={"out": (shape.pe, shape.out_bits)},
        tables=tables,
        arguments=("in", "out", *tables),
    )
    with pytest.raises(CompileError, match=f"int_conv: .*{message}"):
        run_cases("int_conv", [wrong], tmp_path)
