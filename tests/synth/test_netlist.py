"""Counts of netlists that were made by hand, and of what their memories became."""

import json

import pytest

from flow.errors import FlowError
from flow.synth.netlist import Area, count, flatten, memories_of, packed_luts
from flow.synth.synthesis import MEMORIES

from .netlists import cell, flip_flop, module, netlist


def lut(inputs, output):
    return cell(f"LUT{len(inputs)}", O=output, **{f"I{i}": bit for i, bit in enumerate(inputs)})


def test_every_resource_is_counted():
    cells = {
        "a": lut([3, 4, 5, 6, 7, 8], 10),
        "b": lut([3, 4, 5], 11),
        "inverter": cell("INV", I=3, O=12),
        "mux": cell("MUXF7", I0=10, I1=11, S=3, O=13),
        "carry": cell("CARRY4", S=[10, 11, 12, 13], DI=["0"] * 4, CI="0", CYINIT="0", O=[14, 15, 16, 17], CO=[18] * 4),
        "ram": cell("RAM64M", DOA=20, DOB=21, DOC=22, DOD=23),
        "wide": cell("RAM128X1S", O=24),
        "shift": cell("SRL16E", Q=25),
        "half": cell("RAMB18E1"),
        "block": cell("RAMB36E1"),
        "product": cell("DSP48E1"),
        "q": flip_flop(10, 30),
        "set": cell("FDSE", C=2, D=11, Q=31, CE="1", S="0"),
    }
    area = count(flatten(netlist(top=module({}, cells)), "top"))
    assert area == Area(lut=2 + 4 + 2 + 1, lut_packed=2 + 7, lutram=7, ff=2, bram36=1.5, dsp=1, carry=1)


def test_a_module_counts_once_for_each_instance():
    inner = module({"a": ("input", 2), "y": ("output", 3)}, {"l": lut([2, "1"], 4), "q": flip_flop(4, 3)})
    outer = module(
        {"a": ("input", 2), "y": ("output", 5)},
        {f"i{n}": cell("inner", a=2 + n, y=3 + n) for n in range(3)},
    )
    flat = flatten(netlist(inner=inner, outer=outer), "outer")
    assert count(flat) == Area(lut=3, lut_packed=2, ff=3)
    assert {entry.name for entry in flat.cells} == {f"i{n}.{c}" for n in range(3) for c in "lq"}


def test_nets_that_hierarchy_joins_are_one():
    wire = module({"a": ("input", 2), "y": ("output", 2)}, {})
    top = module({}, {"source": flip_flop(9, 3), "w": cell("wire", a=3, y=4), "sink": flip_flop(4, 5)})
    flat = flatten(netlist(wire=wire, top=top), "top")
    source, sink = flat.cells
    assert source.pins["Q"] == sink.pins["D"]


def test_an_unknown_cell_is_refused():
    top = module({}, {"x": cell("URAM288", A=2)})
    with pytest.raises(FlowError, match="x is a URAM288, which is no primitive that is counted"):
        flatten(netlist(top=top), "top")


@pytest.mark.parametrize(
    "luts, packed",
    [
        ([[3, 4, 5], [3, 4, 6]], 1),  # four different inputs
        ([[3, 4, 5], [6, 7, 8]], 2),  # six
        ([[3, 4], [5, 6, 7]], 1),  # none shared, five together
        ([[3, 4, 5, 6, 7], [3, 4, 5, 6, 7]], 1),
        ([[3, 4, 5, 6, 7, 8], [3, 4]], 2),  # a LUT6 is full
        ([[3, 4, 5, 6], [3, 4, 5, 6], [3, 4, 5, 6]], 2),
    ],
)
def test_pairs(luts, packed):
    cells = {str(index): lut(inputs, 20 + index) for index, inputs in enumerate(luts)}
    assert packed_luts(flatten(netlist(top=module({}, cells)), "top")) == packed


def test_a_lut_before_a_wide_multiplexer_stays_alone():
    cells = {"a": lut([3, 4], 10), "b": lut([3, 4], 11), "mux": cell("MUXF7", I0=10, I1=11, S=5, O=12)}
    assert packed_luts(flatten(netlist(top=module({}, cells)), "top")) == 2


def test_memories_are_found_by_their_primitives(tmp_path):
    row = {"words": 64, "bits": 8}
    rows = [
        {"name": "weights", "writable": False, "style": "block", **row},
        {"name": "lost", "writable": False, "style": "block", **row},  # no block RAM has its name: in LUTs
        {"name": "rows", "writable": True, "style": "distributed", **row},
        {"name": "state", "writable": True, "style": "distributed", **row},
        {"name": "small", "writable": True, "style": "auto", **row},
    ]
    cells = {
        "weights.0.0": cell("RAMB18E1"),
        "rows.0.0.genblk1.slice": cell("RAM64X1D"),
        "state_q": flip_flop(2, 3),
        "lost_too.0.0": cell("RAMB18E1"),
    }
    (tmp_path / MEMORIES).write_text(json.dumps({"top": rows}))
    found = memories_of(tmp_path, netlist(top=module({}, cells)))
    assert {memory.name: memory.mapped for memory in found} == {
        "weights": "block",
        "lost": "distributed",
        "rows": "distributed",
        "state": "registers",
        "small": "registers",
    }
    assert [memory.name for memory in found if not memory.as_wanted] == ["lost", "state"]
