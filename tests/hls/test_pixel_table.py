"""hls/pixel_table.hpp against its node, on all 256 values."""

from collections import namedtuple

import numpy as np
import pytest

from flow.emit.hls_nodes import call_of
from flow.errors import FlowError
from flow.graph import Node
from tests.ops.nodes import hardware_op

from .harness import Case, instance, label, run_cases

Shape = namedtuple("Shape", "p bits pixels")
SHAPES = [Shape(1, 8, 256), Shape(3, 2, 300), Shape(16, 32, 40)]


def op(shape):
    return hardware_op("PixelTable", width=shape.pixels, channels=shape.p, p=shape.p, bits=shape.bits)


def table(shape):
    low, high = -(1 << shape.bits - 1), (1 << shape.bits - 1) - 1
    values = np.random.default_rng(shape.p).integers(low, high + 1, 256)
    values[0], values[255] = low, high
    return values


def pixels(shape):
    x = np.random.default_rng(shape.p).integers(0, 256, (2, 1, shape.pixels, shape.p))
    x.reshape(-1)[:256] = np.arange(256)
    return x


def case(shape):
    call = call_of(Node(op(shape), ("in",), ("out",), (table(shape),)))
    tables = {table.suffix: (table.ctype, table.values.astype(np.int32)) for table in call.tables}
    return Case(
        label(shape),
        instance(call.function, *call.parameters.values()),
        inputs={"in": (pixels(shape).reshape(-1, shape.p), 8)},
        outputs={"out": (shape.p, shape.bits)},
        tables=tables,
        arguments=("in", "out", *tables),
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_cases("pixel_table", [case(s) for s in SHAPES], tmp_path_factory.mktemp("pixel_table"))


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_equals_its_node(results, shape):
    expected = op(shape).evaluate(pixels(shape), table(shape))
    assert np.array_equal(results[label(shape)].outputs["out"], expected.reshape(-1, shape.p))


@pytest.mark.parametrize(
    ("bits", "values", "message"),
    [
        (8, np.arange(256), r"256 values 0\.\.255: must be 256 of 8 signed bits"),
        (9, np.arange(-257, -1), r"256 values -257\.\.-2: must be 256 of 9"),
        (8, np.zeros(255, int), r"255 values 0\.\.0: must be 256"),
        (40, np.full(256, 1 << 31), "table .* do not fit int32_t"),
    ],
    ids=["high", "low", "short", "wide"],
)
def test_refuses_tables(bits, values, message):
    with pytest.raises(FlowError, match=f"^node: {message}"):
        call_of(Node(op(Shape(1, bits, 1)), ("in",), ("out",), (values,)))
