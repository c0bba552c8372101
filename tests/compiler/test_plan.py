"""Plans: equal arithmetic, within the budget, editable, and refused with the numbers when they do not fit."""

import numpy as np
import pytest
import yaml

from brevitas_models.data import load_samples
from flow.errors import FlowError
from flow.golden import Golden
from flow.graph import consumers, hardware_nodes, stream_of
from flow.plan.apply import apply_plan
from flow.plan.estimate import estimate
from flow.plan.plan import Plan
from flow.plan.planner import PlanError, plan_network
from flow.plan.target import known_targets, load_target

from .test_passes import compiled


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return compiled("qat", tmp_path_factory.mktemp("graph"), width=16)


@pytest.fixture(scope="module")
def plan(model):
    return plan_network(model, load_target("pynq-z2"), 300, label="bireal18 qat")


def test_planned_graph_computes_the_same(model, plan):
    images = load_samples().images[:8]
    hardware = apply_plan(model, plan)
    np.testing.assert_array_equal(Golden(hardware).execute(images), Golden(model).execute(images))


def test_streams_meet_in_one_format(model, plan):
    hardware = apply_plan(model, plan)
    for node in hardware_nodes(hardware):
        for name, taken in node.input_streams().items():
            given = stream_of(hardware, name)
            assert (given.parallel, given.bits) == (taken.parallel, taken.bits), name
        for name in node.outputs:
            assert len(consumers(hardware, name)) == (name != "logits")


def test_estimate_reaches_the_rate_within_the_board(model, plan):
    target = load_target("pynq-z2")
    result = estimate(apply_plan(model, plan), plan, target)
    assert result.fits and result.fps >= 300
    assert result.cycles_per_frame == max(node.op.cycles() for node in hardware_nodes(apply_plan(model, plan)))
    assert any(node.kind == "WeightStationary" for node in hardware_nodes(apply_plan(model, plan)))
    assert all(value > 0 for value in result.resources.values())


def test_a_faster_plan_costs_more(model):
    target = load_target("pynq-z2")
    slow, fast = (plan_network(model, target, fps) for fps in (100, 2000))
    luts = [estimate(apply_plan(model, p), p, target).resources["lut"] for p in (slow, fast)]
    assert luts[0] < luts[1]


def test_another_clock(model):
    target = load_target("pynq-z2").at(1000 / 9)
    plan = plan_network(model, target, 330)
    found = estimate(apply_plan(model, plan), plan, target)
    assert plan.clock_mhz == 1000 / 9 and found.fits and found.slack_ns == round(9 - found.path_ns, 2) > 0
    assert not estimate(apply_plan(model, plan), plan.model_copy(update={"clock_mhz": 125}), target).fits
    other = load_target("kv260")
    assert estimate(apply_plan(model, plan), plan, other).path_ns is None


def test_plan_file_round_trip_and_edit(model, plan, tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(plan.text())
    assert Plan.load(path, model, load_target("pynq-z2")) == plan
    edited = yaml.safe_load(path.read_text())
    edited["nodes"]["XnorPopcount_0"].update(pe=8, simd=16)
    path.write_text(yaml.safe_dump(edited))
    hardware = apply_plan(model, Plan.load(path, model, load_target("pynq-z2")))
    op = next(node.op for node in hardware_nodes(hardware) if node.name == "XnorPopcount_0")
    assert (op.pe, op.simd) == (8, 16)
    images = load_samples().images[:4]
    np.testing.assert_array_equal(Golden(hardware).execute(images), Golden(model).execute(images))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda p: p.update(network="0" * 16), "another network"),
        (lambda p: p.update(target="kv260"), "is for kv260"),
        (lambda p: p.update(clock_mhz=125), "is for 125 MHz, and pynq-z2 runs at 100: build with --clock 125"),
        (lambda p: p["nodes"]["XnorPopcount_0"].update(pe="many"), "XnorPopcount_0.pe"),
        (lambda p: p["nodes"]["XnorPopcount_0"].update(pe=3), "must divide"),
        (lambda p: p["nodes"].pop("AddStreams_3"), "AddStreams_3"),
        (lambda p: p.update(colour="red"), "colour"),
    ],
)
def test_bad_plans_say_what_is_wrong(model, plan, tmp_path, change, message):
    content = plan.model_dump(exclude_none=True)
    change(content)
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(FlowError, match=message):
        apply_plan(model, Plan.load(path, model, load_target("pynq-z2")))


def test_a_clock_too_fast_for_the_longest_path(model):
    with pytest.raises(
        PlanError, match=r"at 200 MHz: its longest path takes [\d.]+ ns, the clock 5, .*: use --clock 111.111"
    ):
        plan_network(model, load_target("pynq-z2").at(200), 300)
    with pytest.raises(FlowError, match="pynq-z2: the clock cannot be 105 MHz"):
        load_target("pynq-z2").at(105)


@pytest.mark.parametrize("content", ["", "[1, 2]", "nodes: {", "\0\1\2"])
def test_damaged_plans(model, tmp_path, content):
    path = tmp_path / "plan.yaml"
    path.write_text(content)
    with pytest.raises(FlowError, match="plan.yaml"):
        Plan.load(path, model, load_target("pynq-z2"))
    with pytest.raises(FlowError, match="cannot be read"):
        Plan.load(tmp_path / "none.yaml", model, load_target("pynq-z2"))


@pytest.mark.slow
def test_a_rate_out_of_reach_names_the_nearest(model):
    target = load_target("pynq-z2")
    with pytest.raises(PlanError, match="lower --fps to") as error:
        plan_network(model, target, 50_000, label="bireal18 qat")
    nearest = float(str(error.value).rsplit(" ", 1)[-1])
    assert plan_network(model, target, nearest)
    with pytest.raises(PlanError):
        plan_network(model, target, nearest + 1)


def test_targets_are_complete():
    assert {"pynq-z1", "pynq-z2", "zcu104", "kv260", "u250"} <= set(known_targets())
    for name in known_targets():
        target = load_target(name)
        assert target.name == name and all(value > 0 for value in target.budget().values())
    with pytest.raises(FlowError, match="pynq-z2"):
        load_target("pynq-z9")
