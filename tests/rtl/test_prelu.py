"""rtl/prelu.sv against its node, by itself and with pixel_table in a whole RTL project, and constants that are refused."""

import numpy as np
import pytest

from flow.emit.rtl import emit_rtl
from flow.emit.rtl_nodes import cell_of
from flow.errors import FlowError
from flow.graph import Node
from flow.sim.compare import first_difference
from flow.sim.golden import Golden
from flow.sim.module import RtlError, RtlModule
from flow.sim.rtl import RtlAccelerator
from tests.graphs import bent_network, random_images
from tests.ops.test_prelu import SHAPES, constants, elements, prelu
from tests.rtl.nodes import beats_of, module_of, node_of
from tests.rtl.streams import at_all_rates, write_memory

PIPELINE = 3  # cycles from a beat in to the same beat out


@pytest.fixture(scope="module", params=SHAPES, ids=str)
def shape(request):
    return request.param


@pytest.fixture(scope="module")
def node(shape):
    return Node(prelu(shape), ("in",), ("out",), constants(shape))


@pytest.fixture(scope="module")
def module(node, tmp_path_factory):
    return module_of(node, tmp_path_factory.mktemp("prelu"))


def check(module, node, shape, **options):
    (taken,), (made,) = node.op.inputs(), node.op.outputs()
    x = elements(shape)
    expected = beats_of(node.op.evaluate(x, *node.constants), made)
    run = module.run({"in": beats_of(x, taken)}, {"out": len(expected)}, seed=2, **options)
    assert run.outputs["out"] == expected
    return run.cycles - len(expected)


@at_all_rates
def test_equals_its_node(module, node, shape, p_valid, p_ready):
    check(module, node, shape, p_valid=p_valid, p_ready=p_ready)


def test_takes_a_beat_every_cycle(module, node, shape):
    assert check(module, node, shape) == PIPELINE


@pytest.mark.parametrize("reset_at", [1, 4, 29])
def test_reset_returns_to_channel_0(module, node, shape, reset_at):
    check(module, node, shape, p_valid=0.8, p_ready=0.8, reset_at=reset_at)


def test_refuses_beats_that_do_not_divide(tmp_path):
    parameters = {"Channels": 6, "P": 4, "TableFile": "table.mem"}
    write_memory(tmp_path / "table.mem", [], 8)
    with pytest.raises(RtlError, match="prelu: P = 4 does not divide 6 channels"):
        RtlModule("prelu", parameters, {"in": 32}, {"out": 32}, workdir=tmp_path).run({"in": []}, {"out": 0})


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ((129, 0, 0, 0, 0), "step 129..129 is not within -128..128"),
        ((-129, 0, 0, 0, 0), "step -129..-129"),
        ((0, 1 << 31, 0, 0, 0), "multipliers of 33 and offsets of 1 bits: RTL takes at most 32 and 48"),
        ((0, 0, 0, 5, -(1 << 48)), "multipliers of 4 and offsets of 49 bits"),
    ],
)
def test_refuses_constants_that_do_not_fit(tables, message):
    node = node_of(
        "PReLU", *([value] for value in tables), name="bend", height=1, width=1, channels=1, shift=4, out_bits=8
    )
    with pytest.raises(FlowError, match=f"^bend: {message}"):
        cell_of(node)


def test_a_whole_project_equals_golden(tmp_path):
    images, streams = random_images(5, size=4), {}
    logits = Golden(bent_network()).execute(images, streams)
    bent = streams["stem.prelu.out"]
    assert bent.min() == -128 and bent.max() == 127 and len(np.unique(bent)) > 30
    accelerator = RtlAccelerator(emit_rtl(bent_network(), tmp_path / "bent", build_id="0" * 32, clock_mhz=100))
    for gaps, stalls in ((0.0, 0.0), (0.6, 0.7)):
        result = accelerator.execute(images, taps=True, input_gaps=gaps, output_stalls=stalls, seed=3)
        np.testing.assert_array_equal(result.logits, logits)
        assert result.streams.keys() == streams.keys()
        assert first_difference(streams, result.streams, result.streams) is None
