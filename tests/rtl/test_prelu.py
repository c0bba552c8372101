"""rtl/prelu.sv against its node, by itself and with pixel_table in a whole RTL project, and constants that must be refused."""

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
def node(request):
    return Node(prelu(request.param), ("in",), ("out",), constants(request.param))


@pytest.fixture(scope="module")
def module(node, tmp_path_factory):
    return module_of(node, tmp_path_factory.mktemp("prelu"))


@pytest.fixture(scope="module")
def x(request, node):
    return elements(request.node.callspec.params["node"])


def check(module, node, x, **options):
    (taken,), (made,) = node.op.inputs(), node.op.outputs()
    expected = beats_of(node.op.evaluate(x, *node.constants), made)
    run = module.run({"in": beats_of(x, taken)}, {"out": len(expected)}, seed=2, **options)
    assert run.outputs["out"] == expected
    return run.cycles - len(expected)
