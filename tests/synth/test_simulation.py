"""Netlists in Verilator, with the models of primitives.sv: nodes by themselves, and a whole network."""

import copy
from pathlib import Path

import numpy as np
import pytest

from flow.emit.rtl import emit_rtl
from flow.errors import FlowError, VerificationError
from flow.golden import Golden
from flow.sim.module import RtlModule
from flow.synth.netlist import count, flatten, read_netlist
from flow.synth.parts import read_design
from flow.synth.simulation import netlist_accelerator, part_verilog
from flow.synth.single import part_of
from flow.synth.synthesis import netlist_folder, synthesise
from flow.synth.verilog import HEADER, MODELS, parameters, verilog
from flow.synth.yosys import find_yosys
from tests.graphs import GraphBuilder, random_images
from tests.nodes import test_fifo, test_int_conv, test_prelu, test_sliding_window, test_vote_select, test_xnor_popcount
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
        source.write_text(HEADER + part_verilog(self.netlist, part.top, "netlist"))
        return RtlModule("netlist", {}, inputs, outputs, sources=[source, MODELS])

    def kinds(self):
        return {found.kind for found in self.flat.cells}


def fifo(bits, depth):
    attributes = {"height": 20, "width": 40, "p": 1, "bits": bits, "depth": depth, "memory": "block"}
    return Case("Fifo", attributes, label=f"fifo-{bits}x{depth}")


NODES = [  # a case, and kinds of primitives that its netlist must have
    (test_sliding_window.case(5, 7, 4, 3, 2, 1, 4, pad_value=1), {"CARRY4", "FDRE", "LUT6"}),
    (test_xnor_popcount.case(27, 6, 2, 9, group=3), {"CARRY4", "FDRE"}),
    (test_vote_select.case(12, 4, 8), {"LUT4", "FDRE"}),
    (test_int_conv.case(27, 64, 4, 3, 6, out_bits=10, acc_bits=22, shift=8), {"DSP48E1"}),
    (fifo(20, 600), {"RAMB18E1"}),
]
SLOW_NODES = [
    *((fifo(bits, depth), {"RAMB36E1"}) for bits, depth in ((1, 30000), (2, 12000), (4, 8000), (9, 4000), (72, 512))),
    (fifo(36, 1000), {"RAMB36E1"}),
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


def inverted(text, index):
    """``text``, binary, with the bit ``index`` inverted."""
    position = len(text) - 1 - index
    return f"{text[:position]}{'10'[int(text[position])]}{text[position + 1 :]}"


def break_a_table(netlist):
    """Inverts one entry of the table before the lowest bit of the output."""
    top = netlist["modules"]["part"]
    register = next(c for c in top["cells"].values() if c["connections"].get("Q") == top["ports"]["out_data_o"]["bits"][:1])
    broken = next(c for c in top["cells"].values() if c["connections"].get("O") == register["connections"]["D"])
    assert broken["type"].startswith("LUT")
    broken["parameters"]["INIT"] = inverted(broken["parameters"]["INIT"], 0)


@installed
def test_an_inverted_bit_of_one_table_is_seen(tmp_path):
    with pytest.raises(AssertionError, match="assert"):
        Netlist(NODES[2][0], tmp_path, break_a_table).check()
