"""rtl/pixel_table.sv against its node."""

import numpy as np
import pytest

from flow.emit.rtl_nodes import cell_of
from flow.errors import FlowError
from tests.rtl.nodes import beats_of, module_of, node_of
from tests.rtl.streams import at_all_rates, random_signed


def table_node(table, p, bits):
    return node_of("PixelTable", table, name="table", height=8, width=8, channels=24, p=p, bits=bits)


@pytest.fixture(scope="module", params=[(1, 8), (3, 2), (8, 13)], ids=lambda case: "P{}-B{}".format(*case))
def node(request):
    p, bits = request.param
    return table_node(random_signed((256,), bits, seed=p), p, bits)


@pytest.fixture(scope="module")
def module(node, tmp_path_factory):
    return module_of(node, tmp_path_factory.mktemp("pixel_table"))


def check(module, node, **options):
    (taken,), (made,) = node.op.inputs(), node.op.outputs()
    x = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 24))
    assert len(np.unique(x)) == 256
    expected = beats_of(node.op.evaluate(x, *node.constants), made)
    run = module.run({"in": beats_of(x, taken)}, {"out": len(expected)}, seed=2, **options)
    assert run.outputs["out"] == expected
    return run.cycles - len(expected)


@at_all_rates
def test_equals_its_node(module, node, p_valid, p_ready):
    check(module, node, p_valid=p_valid, p_ready=p_ready)


def test_takes_a_beat_every_cycle(module, node):
    """One cycle behind the input."""
    assert check(module, node) == 1


@pytest.mark.parametrize("reset_at", [1, 50])
def test_reset_in_mid_frame(module, node, reset_at):
    check(module, node, p_valid=0.7, p_ready=0.7, reset_at=reset_at)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.arange(256), r"256 values 0\.\.255: must be 256 of 8 signed bits"),
        (np.arange(-129, 127), r"256 values -129\.\.126"),
        (np.zeros(255), r"255 values 0\.\.0: must be 256"),
    ],
    ids=["high", "low", "short"],
)
def test_refuses_tables(table, message):
    with pytest.raises(FlowError, match=f"^table: {message}"):
        cell_of(table_node(table, 1, 8))
