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


@pytest.mark.parametrize("network", [pooled_network, bent_network, votes_network])
def test_latency_is_that_of_the_simulation(network, tmp_path):
    """Within 3 %: windows, pools, engines of all speeds. (tests/compiler/test_build.py has weights from DDR.)"""
    model = network()
    accelerator = RtlAccelerator(emit_rtl(model, tmp_path / "rtl", build_id="0" * 32, clock_mhz=100))
    shape = (1, *model.get_tensor_shape("image")[1:])
    result = accelerator.execute(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    assert latency(list(hardware_nodes(model))) == pytest.approx(result.latency_cycles, rel=0.03)
