"""Netlists in Verilator, with the models of primitives.sv: nodes by themselves, and a whole network."""

import copy
import json
import re

import numpy as np
import pytest

from flow.emit.rtl import emit_rtl
from flow.errors import FlowError, VerificationError
from flow.golden import Golden
from flow.sim.module import RtlError, RtlModule
from flow.sim.rtl import RtlAccelerator
from flow.synth.netlist import flatten, read_netlist
from flow.synth.parts import read_design
from flow.synth.simulation import compare, netlist_accelerator
from flow.synth.single import part_of
from flow.synth.synthesis import MAPPED, netlist_folder, synthesise
from flow.synth.verilog import HEADER, MODELS, parameters, verilog
from flow.synth.yosys import find_yosys
from tests.graphs import GraphBuilder, random_images
from tests.nodes import (
    test_fifo,
    test_int_conv,
    test_pixel_offset,
    test_prelu,
    test_sliding_window,
    test_vote_select,
    test_xnor_popcount,
)
from tests.nodes.harness import Case, Rtl
from tests.rtl.streams import RATES

from .netlists import cell, module, netlist
from .test_yosys import installed


class Netlist(Rtl):
    """The netlist of a case's module, verilated; ``change`` is done to it first."""

    def __init__(self, case, folder, change=lambda netlist: None):
        self.change = change
        super().__init__(case, folder)

    def build(self, folder, inputs, outputs):
        part = part_of(self.case.op, *self.case.constants)
        self.netlist = copy.deepcopy(read_netlist(netlist_folder(part, find_yosys())))
        self.flat = flatten(self.netlist, part.top)
        self.change(self.netlist)
        source = folder / "netlist.sv"
        source.write_text(HEADER + verilog(self.netlist, part.top, "netlist"))
        return RtlModule("netlist", {}, inputs, outputs, sources=[source, MODELS])

    def kinds(self):
        return {found.kind for found in self.flat.cells}


def fifo(bits, depth, p=1):
    attributes = {"height": 20, "width": 40, "channels": p, "p": p, "bits": bits, "depth": depth, "memory": "block"}
    return Case("Fifo", attributes, label=f"fifo-{p}x{bits}x{depth}")


NODES = [  # a case, and kinds of primitives that its netlist must have
    (test_sliding_window.case(5, 7, 4, 3, 2, 1, 4, pad_value=1), {"CARRY4", "FDRE", "LUT6"}),
    (test_xnor_popcount.case(27, 6, 2, 9, group=3), {"CARRY4", "FDRE"}),
    (test_vote_select.case(12, 4, 8), {"LUT4", "FDRE"}),
    (test_int_conv.case(27, 64, 4, 3, 6, out_bits=10, acc_bits=22, shift=8), {"DSP48E1"}),
    (fifo(18, 700), {"RAMB18E1"}),
]
SLOW_NODES = [
    *((fifo(bits, depth), {"RAMB36E1"}) for bits, depth in ((1, 30000), (2, 12000), (4, 8000), (9, 4000), (36, 1000))),
    (fifo(36, 512, p=2), {"RAMB36E1"}),  # mode SDP
    (test_fifo.case(7, 10, 17), {"RAM32M"}),
    (test_prelu.case(8, 8, 10, 9, 18, 27, 18), {"DSP48E1"}),
    (test_int_conv.case(16, 4, 2, 4, 8, out_bits=32, acc_bits=27, shift=0, multiplier_bits=8), {"DSP48E1"}),
    (test_xnor_popcount.case(576, 64, 2, 32, 4), {"CARRY4", "MUXF7"}),
]


def nodes():
    for index, (case, kinds) in enumerate(NODES + SLOW_NODES):
        marks = [pytest.mark.slow] if index >= len(NODES) else []
        yield pytest.param(case, kinds, id=f"{case.kind}-{case}", marks=marks)


@installed
@pytest.mark.parametrize(("case", "kinds"), nodes())
def test_the_netlist_of_a_node_computes_what_the_node_says(case, kinds, tmp_path):
    node = Netlist(case, tmp_path)
    assert kinds <= node.kinds()
    for p_valid, p_ready in RATES[:2]:
        node.check(seed=2, p_valid=p_valid, p_ready=p_ready)
    node.check(seed=4, p_valid=0.8, p_ready=0.8, reset_at=1 + case.op.cycles() // 2)


BREAKABLE = test_pixel_offset.case(1)


def inverted(text, index):
    """``text``, binary, with the bit ``index`` inverted."""
    position = len(text) - 1 - index
    return f"{text[:position]}{'10'[int(text[position])]}{text[position + 1 :]}"


def break_a_table(netlist):
    """Inverts one entry of the table before the lowest bit of the output: of PixelOffset, all of them are reached when
    its output stalls."""
    top = netlist["modules"]["part"]
    register = next(
        c for c in top["cells"].values() if c["connections"].get("Q") == top["ports"]["out_data_o"]["bits"][:1]
    )
    broken = next(c for c in top["cells"].values() if c["connections"].get("O") == register["connections"]["D"])
    assert broken["type"].startswith("LUT")
    broken["parameters"]["INIT"] = inverted(broken["parameters"]["INIT"], 0)


@installed
def test_an_inverted_bit_of_one_table_is_seen(tmp_path):
    Netlist(BREAKABLE, tmp_path).check(p_ready=0.5)
    broken = Netlist(BREAKABLE, tmp_path, break_a_table)
    taken, expected = broken.traffic
    found = broken.module.run(taken, {"out": len(expected["out"])}, p_ready=0.5).outputs["out"]
    assert {ours ^ right for ours, right in zip(found, expected["out"], strict=True)} == {0, 1}


# a whole network


def tiny_network():
    g = GraphBuilder(4, 4, p=4)
    x = g.conv(g.pixels(p=3), "stem", 8, pe=2, simd=3, out_bits=6)
    x = g.node("SignThreshold", "sign", [x], {"threshold": g.rng.integers(-20, 20, 8)})
    x = g.select(g.vote(x, "block", 8, pe=2, simd=8), "block", 9)
    x = g.node("GlobalPool", "pool", [x])
    return g.model(g.int_conv(x, "classifier", 10, pe=1, out_bits=24, shift=0))


IMAGES = random_images(3, size=4)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(hardware graph, RTL project, its parts, the folders of their netlists)"""
    model = tiny_network()
    project = emit_rtl(model, tmp_path_factory.mktemp("rtl") / "tiny", build_id="5" * 32, clock_mhz=100)
    design = read_design(project, "accelerator_top", find_yosys())
    return model, project, design, synthesise([design.glue, *design.instances.values()], find_yosys())


@installed
@pytest.mark.slow
def test_the_netlist_of_a_network_gives_the_golden_logits_in_as_many_cycles(whole):
    model, project, design, netlists = whole
    kinds = {found.kind for part in netlists for found in flatten(read_netlist(netlists[part]), part.top).cells}
    assert {"CARRY4", "DSP48E1", "FDRE", "FDSE", "MUXF7", "RAM32M", "RAM64M", "RAMB18E1", "RAMB36E1"} <= kinds
    result = compare(netlist_accelerator(project, design, netlists), model, IMAGES)
    np.testing.assert_array_equal(result.logits, Golden(model).execute(IMAGES))
    rtl = RtlAccelerator(project).execute(IMAGES, record=True)
    assert result.streams.keys() == rtl.streams.keys()
    same = ("cycles_per_frame", "latency_cycles", "total_cycles", "layers")
    assert {name: getattr(result, name) for name in same} == {name: getattr(rtl, name) for name in same}


@installed
@pytest.mark.slow
def test_a_broken_table_is_found_in_its_layer(whole, tmp_path):
    model, project, design, netlists = whole
    part = design.instances["pixels"]
    broken = copy.deepcopy(read_netlist(netlists[part]))
    break_a_table(broken)
    (tmp_path / MAPPED).write_text(json.dumps(broken))
    accelerator = netlist_accelerator(project, design, {**netlists, part: tmp_path})
    with pytest.raises(VerificationError, match="netlist differs .* layer pixels: stream pixels.out: "):
        compare(accelerator, model, IMAGES)


# how a netlist is written


def test_constants_ports_and_boxes():
    ports = {"a": ("input", [2, 3]), "y": ("output", ["1", 4, 2])}
    cells = {"and": cell("LUT2", {"INIT": "1000"}, I0=2, I1=3, O=4), "inside": cell("box", p=[4, "x"])}
    cells["deep"] = cell("below")
    modules = {"top": module(ports, cells), "box": module({}, {}, box=True), "below": module({}, {})}
    text = verilog(netlist(**modules), "top", "own", {"inside": "other"})
    assert "module own (\n    input wire [1:0] a,\n    output wire [2:0] y\n);" in text
    assert "  assign {n3, n2} = a;\n  assign y = {n2, n4, 1'b1};" in text
    assert "  LUT2 #(.INIT(4'b1000)) \\and (.I0(n2), .I1(n3), .O(n4));" in text
    assert "  other \\inside (.p({1'bx, n4}));" in text
    assert "  own_2 \\deep ();" in text
    assert re.findall(r"^module (\w+)", text, re.MULTILINE) == ["own", "own_2"]


def test_the_contents_of_a_block_ram_are_one_number():
    """Words that are not given are 0, and so are unknown bits."""
    contents = {"INIT_00": "x" * 248 + "11111111", "INIT_02": "1" + "0" * 255, "INITP_00": "10".zfill(256)}
    found = parameters(cell("RAMB18E1", {**contents, "INIT_A": "0" * 18, "RAM_MODE": "TDP"}))
    assert found == {
        "INIT_A": f"18'b{'0' * 18}",
        "RAM_MODE": '"TDP"',
        "INIT": f"768'h{(1 << 767) + 255:x}",
        "INITP": "256'h2",
    }


def test_what_is_no_primitive_is_refused():
    with pytest.raises(FlowError, match="odd is a LDCE, which is no primitive that is simulated: please report it"):
        verilog(netlist(top=module({}, {"odd": cell("LDCE", Q=2)})), "top", "own")


def test_leading_zeros_of_a_parameter_may_be_left_out(tmp_path):
    ports = {"clk_i": ("input", 2), "rst_ni": ("input", 3)}
    source = tmp_path / "top.sv"
    design = netlist(top=module(ports, {"short": cell("SRL16E", {"INIT": "101"}, CLK=2)}))
    source.write_text(HEADER + verilog(design, "top", "short_top"))
    RtlModule("short_top", {}, {}, {}, sources=[source, MODELS])


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("SRL16E", {"IS_CLK_INVERTED": "1"}, "SRL16E with an inverted clock is not modelled"),
        ("DSP48E1", {"AREG": f"{2:032b}"}, "DSP48E1 with two registers before the product is not modelled"),
        ("RAMB18E1", {"DOA_REG": f"{1:032b}"}, "block RAM with output registers is not modelled"),
        ("FDRE", {"IS_C_INVERTED": "1"}, "IS_C_INVERTED"),
    ],
)
def test_a_setting_that_is_not_modelled_is_refused(tmp_path, kind, given, message):
    source = tmp_path / "top.sv"
    source.write_text(HEADER + verilog(netlist(top=module({}, {"odd": cell(kind, given)})), "top", "odd_top"))
    with pytest.raises(RtlError, match=message):
        RtlModule("odd_top", {}, {}, {}, sources=[source, MODELS])
