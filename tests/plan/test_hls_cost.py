"""flow/plan/hls_cost.py: block RAM of the HLS route, by the shapes of its memories."""

from dataclasses import replace

import pytest

from brevitas_models.config import NetworkConfig
from flow.compile import integer_graph
from flow.plan import planner
from flow.plan.apply import apply_plan
from flow.plan.estimate import estimate
from flow.plan.hls_cost import block_memories, bram18, hls_estimate, ping_pong_words, why_not
from flow.plan.hls_fifos import fifo_of, join_depths, needed
from flow.plan.planner import PlanError, plan_network
from flow.plan.target import load_target
from tests.compiler.small import Layer, SmallNetwork, random_images, settle
from tests.graphs import GraphBuilder, small_network, votes_network


@pytest.mark.parametrize(
    ("words", "bits", "blocks"),
    [
        (512, 36, 1),
        (512, 37, 2),
        (513, 36, 2),
        (1024, 18, 1),
        (4608, 128, 36),
        (1152, 128, 12),
        (2222, 8, 2),
        (20480, 8, 10),
        (16384, 1, 1),
        (16385, 1, 2),
    ],
)
def test_blocks_of_a_memory(words, bits, blocks):
    assert bram18(words, bits) == blocks


def test_one_rom_where_there_was_one_for_each_pe():
    """Eight PE of 16 inputs: 4,608 words of 16 bits are 5 blocks each, and one of 128 bits is 36 instead of 40."""
    assert 8 * bram18(4608, 16) == 40 and bram18(4608, 128) == 36


@pytest.mark.parametrize(("words", "both"), [(1, 2), (2, 4), (3, 8), (64, 128), (65, 256), (1024, 2048)])
def test_halves_of_a_shared_memory_begin_at_powers_of_two(words, both):
    assert ping_pong_words(words) == both


def test_every_memory_in_block_ram_is_counted():
    found = {(memory.layer, memory.what): (memory.words, memory.bits) for memory in block_memories(small_network())}
    assert found == {
        ("stem.conv", "weights"): (36, 48),
        ("block2.fifo", "fifo"): (256, 18),
        ("block2.stationary", "m_axi"): (128, 64),
        ("block2.shortcut.conv", "weights"): (64, 16),
        ("block3.stationary", "m_axi"): (128, 64),
    }


def test_the_estimate_is_of_the_route():
    model, target = votes_network(), load_target("pynq-z2")
    estimate = hls_estimate(model, target)
    assert estimate.fits and why_not(estimate, target) is None
    blocks = sum(memory.bram18 for memory in block_memories(model))
    assert (
        estimate.bram36 == blocks / 2 + target.platform.bram36 == sum(estimate.layers.values()) + target.platform.bram36
    )
    assert estimate.usable_bram36 == 140 and "not known without Vitis HLS" in estimate.unknown


def test_what_does_not_fit_is_said():
    target = load_target("pynq-z2")
    small = target.model_copy(update={"resources": target.resources.model_copy(update={"bram36": 1})})
    reason = why_not(hls_estimate(votes_network(), small), small)
    assert reason.startswith("the HLS accelerator needs ") and "pynq-z2 has 1 usable; most take " in reason
    assert reason.endswith("set memory: distributed there in the plan, or build without --plan")


def residual(**window):
    """A block whose shortcut waits for windows of 8 x 8 pixels of 4 channels."""
    g = GraphBuilder(8, 8)
    x = g.conv(g.pixels(p=3), "stem", 4, pe=1, simd=3)
    main, shortcut = g.fork(x, "block")
    main = g.window(g.beats_of(g.sign(main, "block"), 4, "block.in"), "block", **window)
    main = g.select(g.xnor(main, "block.xnor", 4, pe=1), "block", bits=9)
    x = g.add(main, g.fifo(shortcut, "block", depth=64), "block")
    x = g.node("GlobalPool", "pool", [x])
    return g.model(g.int_conv(x, "classifier", 10, pe=1, out_bits=32, shift=0))


@pytest.mark.parametrize(
    ("window", "pixels"),
    [
        ({"kernel": 3, "padding": 1}, 8 + 2),
        ({"kernel": 5, "padding": 2}, 16 + 3),
        ({"kernel": 3, "padding": 2, "dilation": 2}, 16 + 3),
        ({"kernel": (2, 3), "padding": (0, 0, 1, 2)}, 8 + 3),
    ],
)
def test_a_shortcut_holds_what_the_first_window_needs(window, pixels):
    """Rows above and pixels to the right of the first pixel, less the beat that goes on to the window alone; what the
    pipelines of five processes withhold comes on top."""
    (depth,) = join_depths(residual(**window)).values()
    assert depth.least == 4 * pixels - 1
    assert depth.least < depth.beats <= depth.least + 5 * 8
    assert list(fifo_of(residual(**window)).values()) == [(depth.beats, "distributed")]


def test_needed_is_what_a_path_takes():
    """Of a path without nodes a beat for each beat."""
    assert needed([], 4).tolist() == [1, 2, 3, 4]


@pytest.fixture(scope="module")
def network():
    """Unfolded, with shortcuts."""
    layers = (Layer(), Layer(stride=2), Layer())
    return integer_graph(settle(SmallNetwork(NetworkConfig(width=32), layers), random_images(4, 16)), size=16)


def with_block_ram(bram36: float):
    """pynq-z2 with another number of block RAMs."""
    target = load_target("pynq-z2")
    return target.model_copy(update={"resources": target.resources.model_copy(update={"bram36": bram36})})


def with_room_for(memories: int):
    """An estimate of HLS in which so many memories fill the board."""

    def estimated(planned, target):
        found = hls_estimate(planned, target)
        bram36 = found.usable_bram36 + (len(block_memories(planned)) - memories) / 2
        return replace(found, bram36=bram36, fits=bram36 <= found.usable_bram36)

    return estimated


def test_a_plan_for_the_hls_route_fits_there(network, monkeypatch):
    """Where HLS takes more block RAM of the plan for RTL than there is, another plan does."""
    target = with_block_ram(140)
    for_rtl = len(block_memories(apply_plan(network, plan_network(network, target, 100))))
    monkeypatch.setattr(planner, "hls_estimate", with_room_for(for_rtl))
    assert plan_network(network, target, 100, route="hls") == plan_network(network, target, 100)
    monkeypatch.setattr(planner, "hls_estimate", with_room_for(for_rtl - 2))
    plan = plan_network(network, target, 100, route="hls")
    planned = apply_plan(network, plan)
    assert len(block_memories(planned)) <= for_rtl - 2
    assert estimate(planned, plan, target).fits  # as RTL, too


def test_the_route_that_does_not_fit_is_named(network, monkeypatch):
    monkeypatch.setattr(planner, "hls_estimate", with_room_for(-1000))
    with pytest.raises(
        PlanError, match=r"small at 100 fps by the HLS route needs \d+ bram36 \(17 usable\) on pynq-z2: no"
    ):
        plan_network(network, with_block_ram(20), 100, label="small", route="hls")


def test_fits_is_of_the_route(network):
    target = with_block_ram(140)
    plan = plan_network(network, target, 100)
    planned = apply_plan(network, plan)
    rtl, hls = estimate(planned, plan, target), estimate(planned, plan, target, "hls")
    assert (rtl.resources["bram36"], hls.resources["bram36"]) == (8.5, 10.5)
    between = with_block_ram(10)
    assert estimate(planned, plan, between).fits and not estimate(planned, plan, between, "hls").fits
