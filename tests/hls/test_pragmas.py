"""What Vitis HLS needs of every header and of the generated top, and g++ does not check (lint.py)."""

import re
import shutil
from itertools import pairwise

import numpy as np
import pytest

from flow import nodes
from flow.emit import core, hls
from flow.emit.core import call_of
from flow.emit.hls import OWN_HEADERS, STORAGE, emit_hls
from flow.graph import hardware_nodes
from flow.library import hls_folder
from flow.plan.hls_cost import block_memories
from flow.plan.hls_fifos import fifo_of
from tests.graphs import GraphBuilder, small_network, votes_network
from tests.hls.lint import (
    PIPELINE,
    divisions,
    slow_recurrences,
    unbound_arrays,
    uncanonical_calls,
    undeclared_recurrences,
    undirected_top,
    unknown_variables,
    unpartitioned_arrays,
    unpipelined_loops,
    wide_counters,
    wrong_depths,
)

HEADERS = sorted(hls_folder().glob("*.hpp"))
PROCESSES = [header for header in HEADERS if re.search(r"\bvoid \w+\([^;{]*hls::stream", header.read_text())]
HELPERS = [header for header in HEADERS if header not in PROCESSES]
LINTED = [*HEADERS, OWN_HEADERS / "axis.hpp"]
FORBIDDEN = (
    r"#include <(vector|algorithm|map|queue|string|iostream|memory|array)>|\bnew\b(?= \w+[\[({])|\bmalloc\b|\bfree\("
)
TOP = "accelerator.cpp.j2"


def names(headers):
    return [header.stem for header in headers]


def code(header):
    return re.sub(r"//.*", "", header.read_text())


def without(text, pattern):
    """The text without each of its lines that match, in turn."""
    lines = text.splitlines(keepends=True)
    for index, line in enumerate(lines):
        if re.search(pattern, line):
            yield line, "".join(lines[:index] + lines[index + 1 :])


def test_every_node_has_a_header():
    """But for the Fifo, which is the depth of a stream; one header has processes that several nodes share."""
    kinds = {kind.stem() for name, kind in nodes.kinds().items() if name != "Fifo"}
    assert set(names(PROCESSES)) == kinds | {"stationary"}


@pytest.mark.parametrize("header", LINTED, ids=names(LINTED))
def test_is_synthesisable_cpp(header):
    found = re.search(FORBIDDEN, code(header))
    assert not found, f"{header.name}: {found.group()}"


@pytest.mark.parametrize("header", LINTED, ids=names(LINTED))
def test_loops_and_arrays(header):
    text = header.read_text()
    assert unpipelined_loops(text) == unpartitioned_arrays(text) == unknown_variables(text) == []
    assert unbound_arrays(text) == divisions(text) == wide_counters(text) == undeclared_recurrences(text) == []
    assert slow_recurrences(text) == []


@pytest.mark.parametrize("header", PROCESSES, ids=names(PROCESSES))
def test_main_loop_is_pipelined(header):
    assert PIPELINE in header.read_text()


@pytest.mark.parametrize("header", LINTED, ids=names(LINTED))
def test_a_loop_without_its_pragma_is_found(header):
    text = header.read_text()
    for line, changed in without(text, "^#pragma HLS (PIPELINE|UNROLL)"):
        assert unpipelined_loops(changed), f"without {line}"
    for wrong in ("#pragma HLS PIPELINE", "#pragma HLS PIPELINE II=2", "#pragma HLS PIPELINED II=1"):
        assert PIPELINE not in text or unpipelined_loops(text.replace(PIPELINE, wrong, 1)), wrong


@pytest.mark.parametrize("header", LINTED, ids=names(LINTED))
def test_an_array_without_its_partition_is_found(header):
    """Without it, in another dimension, in halves, of another array."""
    text = header.read_text()

    def found(changed):
        return unpartitioned_arrays(changed) + unbound_arrays(changed)

    for line, changed in without(text, "^#pragma HLS ARRAY_(PARTITION|RESHAPE)"):
        assert found(changed), f"without {line}"
        halves = re.sub(r"complete|cyclic factor=\w+", "cyclic factor=2", line)
        for wrong in (re.sub(r"dim=\d", "dim=4", line), halves, re.sub(r"variable=\w+", "variable=other", line)):
            assert found(text.replace(line, wrong)), wrong


@pytest.mark.parametrize("header", LINTED, ids=names(LINTED))
def test_a_memory_that_is_not_bound_is_found(header):
    text = header.read_text()
    for line, changed in without(text, "^#pragma HLS BIND_STORAGE"):
        assert unbound_arrays(changed), f"without {line}"


@pytest.mark.parametrize(
    ("header", "memories"),
    [("weight_stationary", ["sums", "counted"]), ("int_stationary", ["sums"]), ("global_pool", ["sums"])],
)
def test_a_sum_whose_distance_is_not_said_is_found(header, memories):
    text = (hls_folder() / f"{header}.hpp").read_text()
    changes = without(text, "^#pragma HLS DEPENDENCE")
    assert [undeclared_recurrences(changed) for _, changed in changes] == [[memory] for memory in memories]


def test_a_sum_that_is_needed_in_the_next_cycle_is_found():
    """Of a map of one pixel; a memory does not give it in time."""
    text = (hls_folder() / "int_stationary.hpp").read_text()
    assert slow_recurrences(text.replace("Pixels == 1 ? last[e] : ", "")) == ["sums"]


LOOP = "void f() {\n    BODY\n    for (unsigned i = 0; i < 9; ++i) {\n" + PIPELINE + "\n        STATEMENT\n    }\n}\n"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("x = b % Beats;", ["b % Beats"]),
        ("x = y[b] / 3;", ["b] / 3"]),
        ("x %= 9;", ["x % 9"]),
        ("x = b % 2 + Beats % 3;", []),
        ("x = b / 64;", []),
    ],
)
def test_divisions_are_found(line, found):
    assert divisions(LOOP.replace("BODY", "").replace("STATEMENT", line)) == found


@pytest.mark.parametrize(
    ("line", "found"), [("unsigned n = 0;", 1), ("uint32_t a = 0, b = 1;", 1), ("const unsigned N = 3;", 0)]
)
def test_wide_counters_are_found(line, found):
    assert len(wide_counters(LOOP.replace("BODY", line).replace("STATEMENT", ""))) == found


@pytest.mark.parametrize("header", HELPERS, ids=names(HELPERS))
def test_helpers_are_inlined(header):
    """A call in a pipelined loop that is not inlined costs its handshake, and arrays that it takes stay whole."""
    lines = code(header).splitlines()
    for opening, first in pairwise(lines):
        if re.search(r"\)( const)? \{$", opening) and not re.search(r"\b(for \(|if \(|constexpr )", opening):
            assert first == "#pragma HLS INLINE", f"{header.name}: {opening.strip()}"


# the generated top


def complaints(project, model):
    """What is wrong with the top of an HLS project, beside the graph that it was written from."""
    source = (project / "src" / "accelerator.cpp").read_text()
    tables = "".join(path.read_text() for path in sorted((project / "src" / "tables").iterdir()))
    found = undirected_top(source) + unknown_variables(tables + source) + uncanonical_calls(source)
    found += wrong_depths(source)
    nodes = [node for node in hardware_nodes(model) if not node.op.is_wire]
    calls = [call_of(node) for node in nodes]
    fifos = [memory for depth, memory in fifo_of(model).values() if depth > 2]
    roms = {
        kind: [t.memory for call in calls for t in call.tables if t.words > 1 and (t.ports > 1) == several]
        for several, kind in enumerate(("rom_1p", "rom_np"))
    }
    rams = [array.memory for call in calls for array in (*call.arrays, *call.shared)]
    deep = [link for call in calls for link in call.links if link.depth > 2]
    expected = {
        "fifo": [STORAGE[memory] for memory in fifos] + ["lutram"] * len(deep),
        **{kind: [STORAGE[memory] for memory in memories] for kind, memories in roms.items()},
        "ram_s2p": [STORAGE[memory] for memory in rams],
    }
    for kind, values in expected.items():
        bound = re.findall(rf"^#pragma HLS BIND_STORAGE variable=\w+ type={kind} impl=(\w+)$", source, re.MULTILINE)
        if sorted(bound) != sorted(values):
            found.append(f"{kind}: {sorted(bound)}, not {sorted(values)}")
    return found


def looked_up(bits=11):
    """Windows' sums, and what a table of 2^bits values makes of them, two a cycle."""
    g = GraphBuilder(4, 4)
    x = g.beats_of(g.conv(g.pixels(p=3), "stem", 4, pe=1, simd=3, out_bits=bits), 2, "stem.out")
    x = g.node("ValueTable", "curve", [x], {"table": np.arange(1 << bits) % 100}, out_bits=8)
    x = g.node("GlobalPool", "pool", [x])
    return g.model(g.int_conv(g.beats_of(x, 1, "pool.out"), "classifier", 10, pe=1, out_bits=32, shift=0))


def test_a_table_has_a_port_for_each_element(tmp_path):
    """It is a ROM of several ports in the memory that the node says, and no multiplexer of all its values."""
    for bits, impl in ((11, "bram"), (8, "lutram")):
        project = emit_hls(looked_up(bits), tmp_path / str(bits), **TARGET)
        source = (project / "src" / "accelerator.cpp").read_text()
        assert f"#pragma HLS BIND_STORAGE variable=curve_table type=rom_np impl={impl}\n" in source
        assert "ARRAY_PARTITION" not in (project / "src" / "value_table.hpp").read_text()
    (memory,) = (memory for memory in block_memories(looked_up()) if memory.layer == "curve")
    assert (memory.words, memory.bits, memory.bram18) == (2048, 8, 2)


@pytest.mark.parametrize("network", [small_network, votes_network, looked_up])
def test_top(tmp_path, network):
    model = network()
    assert (
        complaints(emit_hls(model, tmp_path / "hls", build_id="0" * 32, part="xc7z020clg400-1", clock_mhz=100), model)
        == []
    )


TARGET = {"build_id": "0" * 32, "part": "xc7z020clg400-1", "clock_mhz": 100}


def test_a_top_without_a_pragma_is_found(tmp_path, monkeypatch):
    model = small_network()
    templates = tmp_path / "templates"
    shutil.copytree(core.TEMPLATES, templates)
    monkeypatch.setattr(core, "TEMPLATES", templates)
    text = (templates / "hls" / TOP).read_text()
    changes = [
        *without(text, "^#pragma HLS"),
        ("a name", text.replace("STREAM variable={{ stream.variable }}", "STREAM variable={{ stream.variable }}s")),
    ]
    assert len(changes) == 7 + 1
    for change, changed in changes:
        (templates / "hls" / TOP).write_text(changed)
        assert complaints(emit_hls(model, tmp_path / "hls", **TARGET), model), f"without {change}"


def test_a_top_without_an_interface_is_found(tmp_path, monkeypatch):
    """Without each of them in turn, and with both masters in one bundle."""
    model, interfaces = small_network(), hls._Project.interfaces
    whole = interfaces(hls._Project(model))
    assert [(entry["mode"], entry["port"]) for entry in whole] == [
        ("axis", "pixels"),
        ("axis", "logits"),
        ("m_axi", "block2_stationary_weights"),
        ("s_axilite", "block2_stationary_weights"),
        ("m_axi", "block3_stationary_weights"),
        ("s_axilite", "block3_stationary_weights"),
        ("s_axilite", "frames"),
        ("s_axilite", "return"),
    ]
    bundled = [{**entry, "bundle": "weights"} if entry["mode"] == "m_axi" else entry for entry in whole]
    for wrong in (bundled, *([other for other in whole if other is not entry] for entry in whole)):
        monkeypatch.setattr(hls._Project, "interfaces", lambda project, wrong=wrong: wrong)
        assert complaints(emit_hls(model, tmp_path / "hls", **TARGET), model), wrong
