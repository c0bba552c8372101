"""Layers whose weights come from DDR, grouped voters and 8-bit shortcuts among them: golden, HLS and RTL."""

import numpy as np
import pytest

from brevitas_models.config import NetworkConfig
from flow.compile import integer_graph
from flow.emit.hls import emit_hls
from flow.emit.rtl import emit_rtl
from flow.golden import Golden
from flow.graph import hardware_nodes
from flow.plan.apply import apply_plan
from flow.plan.estimate import estimate
from flow.plan.fifos import join_fifos
from flow.plan.plan import FifoPlan, NodePlan
from flow.plan.planner import _options, _solve, plan_network
from flow.plan.target import load_target
from flow.sim.compare import first_difference
from flow.sim.csim import CsimAccelerator
from flow.sim.rtl import RtlAccelerator

from .small import Layer, SmallNetwork, random_images, settle

IMAGES = random_images(32, 16)
VOTERS = {  # voter: (pe, simd) of the layer with weights in DDR
    "maj3": (8, 24),
    "hierarchical(9)": (16, 36),
    "hierarchical(16,-+)": (4, 16),
    "learned": (4, 16),
}


@pytest.mark.parametrize("voter", [v if v == "maj3" else pytest.param(v, marks=pytest.mark.slow) for v in VOTERS])
def test_every_backend_agrees(voter, tmp_path):
    config = NetworkConfig(width=8, **({"threshold": "learned"} if voter == "learned" else {"voter": voter}))
    network = settle(SmallNetwork(config, (Layer(2), Layer(2), Layer())), IMAGES)
    model = integer_graph(network, size=16)
    target = load_target("u250")
    plan = plan_network(model, target, 2_000)
    last = [name for name in plan.nodes if name.startswith("XnorPopcount")][-1]
    pe, simd = VOTERS[voter]
    plan.nodes[last] = NodePlan(pe=pe, simd=simd, memory="ddr")
    plan.fifos |= {
        tensor: FifoPlan(elements=elements, memory="block") for tensor, elements in join_fifos(model, {last}).items()
    }
    hardware = apply_plan(model, plan)
    (stationary,) = [node for node in hardware_nodes(hardware) if node.kind == "WeightStationary"]
    assert (stationary.op.group, *stationary.op.kernel) == {
        "maj3": (3, 1, 1),
        "hierarchical(9)": (9, 1, 1),
        "learned": (0, 3, 3),
    }.get(voter, (16, 3, 3))

    assert_agree(model, hardware, tmp_path)


def assert_agree(model, hardware, folder):
    """Golden, C simulation and RTL give the logits of ``model`` and the same values in every stream."""
    logits = Golden(model).execute(IMAGES[:4])
    assert len(np.unique(logits, axis=0)) == 4
    streams: dict[str, np.ndarray] = {}
    np.testing.assert_array_equal(Golden(hardware).execute(IMAGES[:4], streams), logits)
    order = [name for node in hardware_nodes(hardware) for name in node.outputs]
    csim = CsimAccelerator(emit_hls(hardware, folder / "hls", build_id="0" * 32, part="xc7z020clg400-1", clock_mhz=100))
    rtl = RtlAccelerator(emit_rtl(hardware, folder / "rtl", build_id="0" * 32, clock_mhz=100))
    for accelerator in (csim, rtl):
        result = accelerator.execute(IMAGES[:4], record=4)
        np.testing.assert_array_equal(result.logits, logits)
        assert first_difference(streams, result.streams, order) is None


def test_a_shortcut_from_ddr_beside_its_branch(tmp_path):
    """Both work a frame behind, so that the FIFO at their join is that of two layers with weights on the chip."""
    model = integer_graph(settle(SmallNetwork(NetworkConfig(width=8), (Layer(2), Layer(2))), IMAGES), size=16)
    plan = plan_network(model, load_target("u250"), 2_000)
    last = {kind: [name for name in plan.nodes if name.startswith(kind)][-1] for kind in ("XnorPopcount", "IntConv")}
    shortcut = [name for name in plan.nodes if name.startswith("IntConv")][-2]  # the last one is the classifier
    both = {last["XnorPopcount"], shortcut}
    for name, pe, simd in ((last["XnorPopcount"], 4, 16), (shortcut, 1, 4)):
        plan.nodes[name] = NodePlan(pe=pe, simd=simd, memory="ddr")
    fifos, one = join_fifos(model, both), join_fifos(model, {shortcut})
    assert sum(fifos.values()) < sum(one.values())
    plan.fifos |= {tensor: FifoPlan(elements=elements, memory="block") for tensor, elements in fifos.items()}
    hardware = apply_plan(model, plan)
    assert {node.kind for node in hardware_nodes(hardware)} >= {"WeightStationary", "IntStationary"}
    assert_agree(model, hardware, tmp_path)


def test_the_planner_weighs_memories(tmp_path):
    """Rows of windows lie in LUTs where block RAM is short, and in block RAM where LUTs are."""
    network = settle(SmallNetwork(NetworkConfig(width=64), (Layer(2), Layer(2), Layer())), IMAGES[:4])
    model, target = integer_graph(network, size=16), load_target("pynq-z2")

    def planned(**resources):
        board = target.model_copy(update={"resources": target.resources.model_copy(update=resources)})
        return apply_plan(model, _solve(model, board, 500, target.clock_mhz, "rtl")[0])

    def rows(hardware):
        return [node.op.memory for node in hardware_nodes(hardware) if node.kind == "SlidingWindow"]

    tight = planned(bram36=target.platform.bram36 + 20)
    assert [node.op.ddr_words for node in hardware_nodes(tight) if node.kind == "IntStationary"]
    assert set(rows(tight)) == {"distributed"}
    assert "block" in rows(planned(lut=12_000))


def test_what_the_port_brings_bounds_the_rate():
    """A plan is as fast as its weights come, and fits where that is the rate that was asked for."""
    network = settle(SmallNetwork(NetworkConfig(width=64), (Layer(2), Layer(2), Layer())), IMAGES[:4])
    model, target = integer_graph(network, size=16), load_target("pynq-z2")
    board = target.model_copy(
        update={"resources": target.resources.model_copy(update={"bram36": target.platform.bram36 + 20})}
    )
    plan, _ = _solve(model, board, 500, target.clock_mhz, "rtl")
    hardware, engines = apply_plan(model, plan), estimate(apply_plan(model, plan), plan, board)
    slow = board.model_copy(update={"ddr_gb_per_s": engines.ddr_bytes_per_frame * 100 / 1e9})
    found = estimate(hardware, plan, slow)
    assert engines.fits and not found.fits
    assert found.fps == pytest.approx(100, rel=1e-3)
    assert found.ddr_gb_per_s == pytest.approx(slow.ddr_gb_per_s, rel=1e-2)


def test_slow_plans_may_take_triples_from_ddr():
    """Words of triples divide into beats of 64 bits only from 192 bits on, which is far more than a low rate needs."""
    network = settle(SmallNetwork(NetworkConfig(width=8, voter="maj3"), (Layer(2), Layer(2), Layer())), IMAGES)
    model = integer_graph(network, size=16)
    engine = [node for node in hardware_nodes(model) if node.kind == "XnorPopcount"][-1]
    for fps in (20, 20_000):
        options = _options(model, engine, int(1e8 / fps))
        assert min(option.pe * option.simd for option in options if option.memory == "ddr") == 192, fps
        assert max(option.pe * option.simd for option in options if option.memory == "block") <= 2 * min(
            o.pe * o.simd for o in options
        )


@pytest.mark.parametrize("voter", ["maj3", "hierarchical(9)", "exact"])
def test_the_planner_counts_all_the_memory(voter):
    """What it needs where there is hardly any to be had is what the estimate sums up from the planned graph."""
    network = settle(SmallNetwork(NetworkConfig(width=64, voter=voter), (Layer(2), Layer(2), Layer())), IMAGES[:4])
    model = integer_graph(network, size=16)
    target = load_target("pynq-z2")
    none = target.model_copy(
        update={"resources": target.resources.model_copy(update={"bram36": target.platform.bram36 + 0.5})}
    )
    plan, needed = _solve(model, none, 300, target.clock_mhz, "rtl")
    resources = estimate(apply_plan(model, plan), plan, none).resources
    assert needed["bram36"] + target.platform.bram36 == resources["bram36"] > target.platform.bram36
