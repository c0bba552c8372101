"""The models of primitives beside those that Yosys ships, pin by pin on random inputs.

Yosys writes its models as plain Verilog first, which Verilator takes. Block RAM is not among them: tests/synth/
test_simulation.py holds its model against modules of rtl/ whose memories Yosys maps to it.
"""

import itertools
import random
import re

from flow.sim.module import RtlModule
from flow.synth.netlist import BLOCK_RAM, PRIMITIVES
from flow.synth.verilog import MODELS
from flow.synth.yosys import find_yosys

from .test_yosys import installed

BEATS = 4000
WIDTH = 512  # bits of random numbers a cycle
PINS = {  # clock, outputs, inputs; with bits where there are several
    "INV": ("", "O", "I"),
    **{f"LUT{n}": ("", "O", " ".join(f"I{i}" for i in range(n))) for n in range(1, 7)},
    "MUXF7": ("", "O", "I0 I1 S"),
    "MUXF8": ("", "O", "I0 I1 S"),
    "CARRY4": ("", "CO:4 O:4", "CI CYINIT DI:4 S:4"),
    "FDRE": ("C", "Q", "CE D R"),
    "FDSE": ("C", "Q", "CE D S"),
    "FDCE": ("C", "Q", "CE D CLR"),
    "FDPE": ("C", "Q", "CE D PRE"),
    "RAM32X1S": ("WCLK", "O", "A0 A1 A2 A3 A4 D WE"),
    "RAM64X1S": ("WCLK", "O", "A0 A1 A2 A3 A4 A5 D WE"),
    "RAM128X1S": ("WCLK", "O", "A0 A1 A2 A3 A4 A5 A6 D WE"),
    "RAM256X1S": ("WCLK", "O", "A:8 D WE"),
    "RAM32X2S": ("WCLK", "O0 O1", "A0 A1 A2 A3 A4 D0 D1 WE"),
    "RAM32X1D": ("WCLK", "SPO DPO", "A0 A1 A2 A3 A4 D DPRA0 DPRA1 DPRA2 DPRA3 DPRA4 WE"),
    "RAM64X1D": ("WCLK", "SPO DPO", "A0 A1 A2 A3 A4 A5 D DPRA0 DPRA1 DPRA2 DPRA3 DPRA4 DPRA5 WE"),
    "RAM128X1D": ("WCLK", "SPO DPO", "A:7 D DPRA:7 WE"),
    "RAM32M": ("WCLK", "DOA:2 DOB:2 DOC:2 DOD:2", "ADDRA:5 ADDRB:5 ADDRC:5 ADDRD:5 DIA:2 DIB:2 DIC:2 DID:2 WE"),
    "RAM64M": ("WCLK", "DOA DOB DOC DOD", "ADDRA:6 ADDRB:6 ADDRC:6 ADDRD:6 DIA DIB DIC DID WE"),
    "SRL16E": ("CLK", "Q", "A0 A1 A2 A3 CE D"),
    "SRLC16E": ("CLK", "Q Q15", "A0 A1 A2 A3 CE D"),
    "SRLC32E": ("CLK", "Q Q31", "A:5 CE D"),
    "DSP48E1": (
        "CLK",
        "P:48 PCOUT:48",
        "A:30 B:18 C:48 PCIN:48 CARRYIN CEA2 CEB2 CEC CEM CEP RSTA RSTB RSTC RSTM RSTP",
    ),
}
INIT_BITS = {"FD": 1, "LUT": 0, "RAM32X": 32, "RAM64X": 64, "RAM128X": 128, "RAM256X": 256, "SRL16": 16, "SRLC16": 16}
INIT_BITS |= {"SRLC32": 32, "RAM32M": 64, "RAM64M": 64}
CONTROLS = ("ALUMODEREG", "CARRYINREG", "CARRYINSELREG", "INMODEREG", "OPMODEREG")
REGISTERS = ("AREG", "BREG", "CREG", "MREG", "PREG")
OPMODES = "0000101 0010101 0110101 1010101 0001100 0001110 0101100 0110011 0011111 1101111".split()
ALUMODES = ("0000", "0011", "0001", "0010")
PIPELINES = [(0, 0, 0, 1, 0), (1, 1, 0, 1, 1), (0, 0, 1, 0, 1), (1, 0, 1, 1, 1)]  # of REGISTERS


def test_every_primitive_has_a_model_and_is_compared():
    models = set(re.findall(r"^module ([A-Z]\w+)", MODELS.read_text(), re.MULTILINE))
    assert models == PRIMITIVES
    assert PINS.keys() == PRIMITIVES - BLOCK_RAM.keys()


def parameters_of(kind, rng):
    """Random contents."""
    if kind.startswith("LUT"):
        return {"INIT": literal(rng, 1 << int(kind[3:]))}
    bits = next((bits for start, bits in INIT_BITS.items() if kind.startswith(start)), 0)
    names = {"RAM32M": ("A", "B", "C", "D"), "RAM64M": ("A", "B", "C", "D"), "RAM32X2S": ("00", "01")}.get(kind, ())
    return {name: literal(rng, bits) for name in ([f"INIT_{name}" for name in names] or ["INIT"]) if bits}


def literal(rng, bits):
    return f"{bits}'h{rng.getrandbits(bits):x}"


def instances(rng):
    """(kind, parameters, constant pins) of all that is compared."""
    for kind in PINS:
        if kind != "DSP48E1":
            yield kind, parameters_of(kind, rng), {}
    for index, (opmode, turn) in enumerate(itertools.product(OPMODES, range(2))):
        registers = dict(zip(REGISTERS, PIPELINES[index % len(PIPELINES)]))
        if opmode[5:] == "10" or opmode[1:3] == "10":  # takes P back
            registers["PREG"] = 1
        parameters = {**registers, **dict.fromkeys(CONTROLS, 0), "ADREG": 0, "DREG": 0}
        parameters |= {f"{x}CASCREG": registers[f"{x}REG"] for x in "AB"}
        alumode = ALUMODES[(index // 2 + 2 * turn) % len(ALUMODES)]
        pins = {"OPMODE": f"7'b{opmode}", "ALUMODE": f"4'b{alumode}", "INMODE": "5'b0", "CARRYINSEL": "3'b0"}
        yield "DSP48E1", parameters, pins


def sized(pins):
    return [(name, int(bits or 1)) for name, _, bits in (word.partition(":") for word in pins.split())]


def body(rows):
    """Return the instances of a module, on consecutive bits of its inputs and outputs, and how many outputs."""
    lines, taken, given = [], 0, 0
    for index, (kind, parameters, constants) in enumerate(rows):
        clock, outputs, inputs = PINS[kind]
        pins = dict(constants)
        if clock:
            pins[clock] = "clk"
        for name, bits in sized(inputs):
            taken = taken if taken + bits <= WIDTH else 0  # other bits again: they are shared
            pins[name] = f"in[{taken}+:{bits}]"
            taken += bits
        for name, bits in sized(outputs):
            pins[name] = f"out[{given}+:{bits}]"
            given += bits
        listing = ", ".join(f".{name}({value})" for name, value in parameters.items())
        connections = ", ".join(f".{name}({value})" for name, value in pins.items())
        lines.append(f"  {kind} {f'#({listing})' if listing else ''} i{index} ({connections});")
    return "\n".join(lines), given


MODULE = "module {0} (input clk, input [{1}:0] in, output [{2}:0] out);\n{3}\nendmodule\n"
BENCH = """module bench (
    input logic clk_i, rst_ni,
    input logic [{0}:0] in_data_i, input logic in_valid_i, output logic in_ready_o,
    output logic [{1}:0] out_data_o, output logic out_valid_o, input logic out_ready_i
);
  logic [{1}:0] model, reference;
  models i_models (.clk(clk_i), .in(in_data_i), .out(model));
  references i_references (.clk(clk_i), .in(in_data_i), .out(reference));
  assign out_data_o = model ^ reference;
  assign out_valid_o = in_valid_i;
  assign in_ready_o = out_ready_i;
endmodule
"""
RULES = (
    """CASEINCOMPLETE CASEOVERLAP COMBDLY DECLFILENAME PINMISSING SYNCASYNCNET UNDRIVEN UNOPTFLAT UNUSEDSIGNAL WIDTH"""
)
LINT = "".join(f"/* verilator lint_off {rule} */\n" for rule in RULES.split())


def different(folder, rows):
    """Return which of the rows differ from the models of Yosys."""
    text, outputs = body(rows)
    (folder / "source.v").write_text(MODULE.format("references", WIDTH - 1, outputs - 1, text))
    script = "read_verilog +/xilinx/cells_sim.v\nread_verilog source.v\nhierarchy -check -top references\n"
    find_yosys().run(f"{script}proc\nflatten\nopt_clean\nwrite_verilog -noattr references.v\n", folder)
    plain = folder / "references.sv"
    plain.write_text(LINT + (folder / "references.v").read_text())
    own = folder / "bench.sv"
    own.write_text(LINT + MODULE.format("models", WIDTH - 1, outputs - 1, text) + BENCH.format(WIDTH - 1, outputs - 1))
    module = RtlModule("bench", {}, {"in": WIDTH}, {"out": outputs}, sources=[own, plain, MODELS])
    rng = random.Random(2)
    run = module.run({"in": [rng.getrandbits(WIDTH) for _ in range(BEATS)]}, {"out": BEATS})
    differing = 0
    for beat in run.outputs["out"]:
        differing |= beat
    found, position = [], 0
    for row in rows:
        bits = sum(bits for _, bits in sized(PINS[row[0]][1]))
        if differing >> position & ((1 << bits) - 1):
            found.append(row)
        position += bits
    return found


@installed
def test_models_equal_those_of_yosys(tmp_path):
    assert different(tmp_path, list(instances(random.Random(1)))) == []


@installed
def test_another_table_is_seen(tmp_path, monkeypatch):
    """The comparison has teeth: a model that is wrong in one of 64 entries, and one whose reset comes too late."""
    wrong = MODELS.read_text().replace("O = INIT[{I5,", "O = ^{I0, I1, I2, I3, I4, I5} ^ INIT[{I5,")
    wrong = wrong.replace("if (R) Q <= 1'b0; else if (CE) Q <= D", "if (CE) Q <= R ? 1'b0 : D")
    copy = tmp_path / "primitives.sv"
    copy.write_text(wrong)
    monkeypatch.setattr("tests.synth.test_primitives.MODELS", copy)
    rows = [row for row in instances(random.Random(1)) if row[0] in ("LUT6", "LUT5", "FDRE", "FDSE")]
    assert {row[0] for row in different(tmp_path, rows)} == {"LUT6", "FDRE"}
