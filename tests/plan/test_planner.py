"""Plans at the edges: a resource that the target has not, and the latency that a plan promises."""

import numpy as np
import pytest

from brevitas_models.config import NetworkConfig
from flow.compile import integer_graph
from flow.emit.rtl import emit_rtl
from flow.graph import hardware_nodes
from flow.plan.apply import apply_plan
from flow.plan.estimate import estimate, latency
from flow.plan.planner import PlanError, plan_network
from flow.plan.target import load_target
from flow.sim.rtl import RtlAccelerator
from tests.compiler.small import Layer, SmallNetwork, random_images, settle
from tests.graphs import bent_network, pooled_network, votes_network

IMAGES = random_images(32, 16)


@pytest.fixture(scope="module")
def model():
    return integer_graph(settle(SmallNetwork(NetworkConfig(width=8), (Layer(), Layer(stride=2))), IMAGES), size=16)


def without(target, resource):
    """The target with nothing of one resource."""
    resources = target.resources.model_copy(update={resource: 0})
    return target.model_copy(
        update={"resources": resources, "platform": target.platform.model_copy(update={resource: 0})}
    )


def test_a_target_without_block_memory(model):
    target = without(load_target("pynq-z2"), "bram36")
    plan = plan_network(model, target, 100)
    assert estimate(apply_plan(model, plan), plan, target).resources["bram36"] == 0
    assert estimate(apply_plan(model, plan), plan, target).fits


def test_a_target_without_multipliers_is_refused(model):
    with pytest.raises(PlanError, match=r"needs \d+ dsp \(0 usable\) on pynq-z2: no rate fits"):
        plan_network(model, without(load_target("pynq-z2"), "dsp"), 100)


def test_an_engine_of_many_words_can_have_a_fast_clock():
    """Deep memories of weights are slow, and which folding and memory there are is the plan's choice."""
    network = settle(SmallNetwork(NetworkConfig(width=64), (Layer(), Layer())), IMAGES[:4])
    model, target = integer_graph(network, size=16), load_target("pynq-z2")
    engines = [node.op for node in hardware_nodes(model) if node.kind == "XnorPopcount"]
    assert max(op.path_ns() for op in engines) > 9.5 and op_words(engines[0]) > 8192
    slow, fast = (
        [node.op for node in hardware_nodes(apply_plan(model, plan_network(model, target.at(clock), 10)))]
        for clock in (100, 111.111)
    )
    assert any(op.kind == "XnorPopcount" and op_words(op) > 8192 for op in slow)
    assert max(op.path_ns() for op in fast) <= 9.0


def op_words(op) -> int:
    """Words of the weights of a binary engine."""
    return op.neuron_fold * op.synapse_fold


@pytest.mark.parametrize("network", [pooled_network, bent_network, votes_network])
def test_latency_is_that_of_the_simulation(network, tmp_path):
    """Within 3 %: windows, pools, engines of all speeds. (tests/compiler/test_build.py has weights from DDR.)"""
    model = network()
    accelerator = RtlAccelerator(emit_rtl(model, tmp_path / "rtl", build_id="0" * 32, clock_mhz=100))
    shape = (1, *model.get_tensor_shape("image")[1:])
    result = accelerator.execute(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    assert latency(list(hardware_nodes(model))) == pytest.approx(result.latency_cycles, rel=0.03)
