"""hls/prelu.hpp against its node, by itself and behind pixel_table in a whole HLS project."""

import numpy as np
import pytest

from flow.emit.hls import emit_hls
from flow.emit.hls_nodes import call_of
from flow.errors import FlowError
from flow.graph import Node
from flow.sim.compare import first_difference
from flow.sim.cpp import CompileError
from flow.sim.csim import CsimAccelerator
from flow.sim.golden import Golden
from tests.graphs import bent_network, random_images
from tests.ops.test_prelu import SHAPES, constants, elements, prelu

from .harness import Case, instance, label, run_cases


def case(shape):
    call = call_of(Node(prelu(shape), ("in",), ("out",), constants(shape)))
    tables = {table.suffix: (table.ctype, table.values.astype(table.ctype.removesuffix("_t"))) for table in call.tables}
    return Case(
        label(shape),
        instance(call.function, *call.parameters.values()),
        inputs={"in": (elements(shape).reshape(-1, shape.p), shape.bits)},
        outputs={"out": (shape.p, shape.out_bits)},
        tables=tables,
        arguments=("in", "out", *tables),
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_cases("prelu", [case(s) for s in SHAPES], tmp_path_factory.mktemp("prelu"))


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_equals_its_node(results, shape):
    expected = prelu(shape).evaluate(elements(shape), *constants(shape))
    assert np.array_equal(results[label(shape)].outputs["out"], expected.reshape(-1, shape.p))


def test_refuses_more_than_32_bits(tmp_path):
    shape = SHAPES[-1]
    wrong = case(shape)
    wrong.function = instance("prelu", shape.channels, shape.p, 33, shape.out_bits, shape.shift, 60)
    wrong.inputs = {"in": (np.zeros((60, shape.p), int), 33)}
    with pytest.raises(CompileError, match="prelu: at most 32 bits an element"):
        run_cases("prelu", [wrong], tmp_path)


@pytest.mark.parametrize(
    ("changed", "tables", "message"),
    [
        ({"out_bits": 33}, (0, 0, 0, 0, 0), "out_bits 33, shift 4: HLS takes at most 32 bits"),
        ({"shift": 64}, (0, 0, 0, 0, 0), r"out_bits 8, shift 64: HLS takes .* shifts of 0\.\.63"),
        ({}, (0, 0, 0, 1 << 31, 0), r"up 2147483648\.\.2147483648 do not fit int32_t"),
        ({}, (0, -2, (1 << 63) - 1, 0, 0), r"multiplier \* x \+ offset reaches \d+, beyond 64 bits"),
    ],
    ids=["out_bits", "shift", "up", "down_offset"],
)
def test_refuses_nodes(changed, tables, message):
    op = prelu(SHAPES[-1]._replace(bits=8, out_bits=8, shift=4)._replace(**changed))
    with pytest.raises(FlowError, match=f"^node: {message}"):
        call_of(Node(op, ("in",), ("out",), tuple(np.full(4, value) for value in tables)))


def test_a_whole_project_equals_golden(tmp_path):
    model, images, streams = bent_network(), random_images(5, size=4), {}
    logits = Golden(model).execute(images, streams)
    project = emit_hls(model, tmp_path / "bent", build_id="test", part="xc7z020clg400-1", clock_mhz=100)
    result = CsimAccelerator(project).execute(images, taps=True)
    np.testing.assert_array_equal(result.logits, logits)
    assert result.streams.keys() == streams.keys()
    assert first_difference(streams, result.streams, result.streams) is None
