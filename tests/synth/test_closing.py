"""Tops of every node that tests make, through Yosys: no long chain of ready, no path above what their nodes state."""

import pytest

from flow.emit.rtl import emit_rtl
from flow.graph import hardware_nodes
from flow.plan.estimate import longest_path
from flow.synth.parts import read_design
from flow.synth.synthesis import synthesise
from flow.synth.timing import DesignTiming
from flow.synth.yosys import find_yosys
from tests.graphs import bent_network, pooled_network, small_network, votes_network
from tests.synth.test_yosys import installed

TOP = "accelerator_top"


@installed
@pytest.mark.slow
@pytest.mark.parametrize("network", [small_network, pooled_network, bent_network, votes_network])
def test_ready_passes_through_two_modules_at_most(network, tmp_path):
    model, yosys = network(), find_yosys()
    project = emit_rtl(model, tmp_path / "rtl", build_id="0" * 32, clock_mhz=100)
    design = read_design(project, TOP, yosys)
    timing = DesignTiming.of_design(design, synthesise([design.glue, *design.instances.values()], yosys))
    chain = timing.longest_ready_chain()
    assert not timing.loops
    assert 0 < chain.passes <= 2, chain
    worst = timing.worst(1)[0]
    assert 4 < worst.ns <= longest_path(hardware_nodes(model)), worst
