"""Longest paths that are worked out by hand, in one netlist and across three."""

import pytest

from flow.synth.delays import LUT
from flow.synth.graph import Time, TimingGraph
from flow.synth.netlist import flatten
from flow.synth.timing import DesignTiming, ReadyChain

from .netlists import cell, flip_flop, module, netlist

LEVEL = 1.2
ROUTE = LEVEL - LUT
CLOCK_TO_Q, SETUP_D, SETUP_CE, SETUP_R = 0.456, 0.08, 0.205, 0.429


def graph_of(cells, ports=None, nets=None):
    return TimingGraph(flatten(netlist(top=module(ports or {}, cells, nets)), "top"), LEVEL)


def inside(cells):
    time, *_ = graph_of(cells).worst_inside()
    return time


def lut(output, *inputs):
    return cell(f"LUT{len(inputs)}", O=output, **{f"I{i}": bit for i, bit in enumerate(inputs)})


def test_two_levels_of_luts():
    """The flip-flop behind a LUT is in its slice: no route to D."""
    cells = {"a": flip_flop(12, 10), "x": lut(11, 10, 13), "y": lut(12, 11, 13), "b": flip_flop(12, 14)}
    time = inside(cells)
    assert time.levels == 2
    assert time.ns == pytest.approx(CLOCK_TO_Q + 2 * LEVEL + SETUP_D)


@pytest.mark.parametrize(
    "end, setup", [(dict(enable=11), SETUP_CE), (dict(reset=11), SETUP_R)], ids=["enable", "reset"]
)
def test_enable_and_reset_take_a_route(end, setup):
    cells = {"a": flip_flop("0", 10), "x": lut(11, 10), "b": flip_flop("0", 12, **end)}
    assert inside(cells).ns == pytest.approx(CLOCK_TO_Q + LEVEL + ROUTE + setup)


def test_a_register_behind_a_register_takes_a_route():
    assert inside({"a": flip_flop("0", 10), "b": flip_flop(10, 11)}).ns == pytest.approx(CLOCK_TO_Q + ROUTE + SETUP_D)


def test_a_carry_chain_has_no_routes_inside():
    """Register, LUT, S[0] to CO[3], the next CARRY4's CI to O[1], register."""
    first = cell(
        "CARRY4", S=[11, "0", "0", "0"], DI=["0"] * 4, CI="0", CYINIT="0", O=[20, 21, 22, 23], CO=[24, 25, 26, 27]
    )
    second = cell("CARRY4", S=["0"] * 4, DI=["0"] * 4, CI=27, CYINIT="0", O=[30, 31, 32, 33], CO=[34, 35, 36, 37])
    cells = {"a": flip_flop("0", 10), "x": lut(11, 10), "c": first, "d": second, "b": flip_flop(31, 40)}
    time = inside(cells)
    assert time.levels == 1
    assert time.ns == pytest.approx(CLOCK_TO_Q + LEVEL + (0.40 + 3 * 0.045) + 0.334 + SETUP_D)


def test_wide_multiplexers_have_no_routes_inside():
    cells = {
        "a": flip_flop("0", 10),
        "l": lut(11, 10),
        "m": cell("MUXF7", I0=11, I1="0", S="0", O=12),
        "n": cell("MUXF8", I0=12, I1="0", S="0", O=13),
        "b": flip_flop(13, 14),
    }
    assert inside(cells).ns == pytest.approx(CLOCK_TO_Q + LEVEL + 0.245 + 0.104 + SETUP_D)


def test_block_ram_begins_and_ends_paths():
    ram = cell("RAMB36E1", {"DOA_REG": "0"}, DOADO=[10], ADDRARDADDR=[12], CLKARDCLK=2)
    cells = {"ram": ram, "x": lut(12, 10)}
    assert inside(cells).ns == pytest.approx(2.454 + LEVEL + ROUTE + 0.566)


def test_a_distributed_ram_is_read_through():
    ram = cell("RAM64X1D", A0=2, DPRA0=10, D=3, WE=4, WCLK=5, DPO=11, SPO=12)
    cells = {"a": flip_flop("0", 10), "ram": ram, "b": flip_flop(11, 14)}
    time = inside(cells)
    assert time == Time(pytest.approx(CLOCK_TO_Q + LEVEL + SETUP_D), 1)


def test_a_loop_is_named_and_does_not_hang():
    graph = graph_of({"x": lut(11, 12), "y": lut(12, 11)}, nets={"around": 11})
    assert sorted(graph.loops) == sorted(graph.edges)
    assert graph.worst_inside() is None


def test_the_model_of_a_netlist():
    """One input goes to a register, one through to an output, and a register to the other output."""
    ports = {"d": ("input", 3), "a": ("input", 4), "y": ("output", 5), "q": ("output", 6)}
    model = graph_of({"l": lut(7, 3), "r": flip_flop(7, 6), "m": lut(5, 4)}, ports).model()
    assert model.capture == {("d", 0): Time(pytest.approx(LEVEL + SETUP_D), 1)}
    assert model.arcs == {("a", 0): {("y", 0): Time(pytest.approx(LEVEL), 1)}}
    assert model.launch == {("q", 0): Time(pytest.approx(CLOCK_TO_Q), 0)}


PORTS = {"in_ready_o": ("output", 3), "out_ready_i": ("input", 4), "clk_i": ("input", 2)}


def stage(through):
    """A module of streams: ready passes through one LUT, or is registered."""
    cells = {"pass": lut(3, 4)} if through else {"r": flip_flop(4, 3)}
    return module(PORTS, cells, {} if through else {"ready_q": 3})


def three_stages(*through):
    """The timing of a pipeline first > second > third whose stages let ready through, or not."""
    boxes = {f"stage{int(way)}": module(PORTS, {}, box=True) for way in through}
    cells = {
        name: cell(f"stage{int(way)}", in_ready_o=10 + index, out_ready_i=11 + index, clk_i=2)
        for index, (name, way) in enumerate(zip(("first", "second", "third"), through))
    }
    top = module({"clk_i": ("input", 2), "ready_i": ("input", 13), "ready_o": ("output", 10)}, cells)
    kinds = {way: flatten(netlist(top=stage(way)), "top") for way in set(through)}
    instances = {name: kinds[way] for name, way in zip(cells, through)}
    return DesignTiming(flatten(netlist(top=top, **boxes), "top"), instances, LEVEL)


def test_a_chain_of_ready_across_three_modules():
    timing = three_stages(True, True, True)
    assert timing.longest_ready_chain() == ReadyChain(("third", "second", "first"), passes=3)
    worst = timing.worst(1)[0]
    assert (worst.start, worst.end, worst.levels) == ("port ready_i[0]", "port ready_o[0]", 3)
    assert worst.instances == ("third", "second", "first")
    assert worst.ns == pytest.approx(3 * LEVEL)


def test_a_register_ends_the_chain():
    """Ready begins in the register of ``third``, passes ``second`` and is taken by ``first``."""
    timing = three_stages(False, True, False)
    assert timing.longest_ready_chain() == ReadyChain(("third", "second", "first"), passes=1)
    worst = timing.worst(1)[0]
    assert (worst.start, worst.end) == ("third.ready_q", "first.ready_q")
    assert worst.ns == pytest.approx(CLOCK_TO_Q + LEVEL + ROUTE + SETUP_D)
    assert worst.as_dict(10.0)["slack_ns"] == pytest.approx(10 - worst.ns, abs=0.01)


def test_without_a_way_through_there_is_no_chain():
    assert three_stages(False, False, False).longest_ready_chain() == ReadyChain((), passes=0)


def test_a_slower_route_makes_every_level_slower():
    cells = {"a": flip_flop(12, 10), "x": lut(11, 10), "y": lut(12, 11)}
    flat = flatten(netlist(top=module({}, cells)), "top")
    times = [TimingGraph(flat, level).worst_inside()[0].ns for level in (0.9, 1.2)]
    assert times[1] - times[0] == pytest.approx(2 * 0.3)
