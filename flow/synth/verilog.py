"""Writes netlists as SystemVerilog for Verilator: a wire for every bit, an instance for every primitive.

Primitives are those of primitives.sv; modules have the names that the caller gives, so that none of rtl/ can take the
place of one of a netlist.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from flow.errors import FlowError

from .netlist import BLOCK_RAM, PRIMITIVES
from .parts import literal

MODELS = Path(__file__).with_name("primitives.sv")
INIT_BITS = 256  # of a parameter INIT_00 of a block RAM
LINT = ("DECLFILENAME", "PINMISSING", "UNOPTFLAT", "UNUSEDSIGNAL")  # a netlist has pins and nets that no one needs
HEADER = "".join(f"/* verilator lint_off {rule} */\n" for rule in LINT)


def verilog(netlist: dict, top: str, name: str, boxes: Mapping[str, str] | None = None) -> str:
    """Return all modules of a netlist as text: ``top`` is called ``name``, the others have names that begin so.

    Args:
        boxes: of every instance of a black box the module that it becomes.

    Raises:
        FlowError: the netlist has a cell that is no primitive and no module of it.
    """
    modules = netlist["modules"]
    names = {key: name if key == top else f"{name}_{index}" for index, key in enumerate(modules)}
    written = [_Module(modules, key, names, boxes or {}).text() for key in modules if not modules[key]["box"]]
    return "\n".join(written)


class _Module:
    """One module of a netlist as text."""

    def __init__(self, modules: dict, key: str, names: Mapping[str, str], boxes: Mapping[str, str]):
        self.modules, self.module, self.key = modules, modules[key], key
        self.names, self.boxes = names, boxes

    def text(self) -> str:
        ports = [
            f"    {port['direction']} wire [{len(port['bits']) - 1}:0] {name}"
            for name, port in self.module["ports"].items()
        ]
        cells = [line for name, cell in self.module["cells"].items() for line in self._cell(name, cell)]
        listing = ",\n".join(ports)
        body = "\n".join([*self._wires(), *self._port_assignments(), *cells])
        return f"module {self.names[self.key]} (\n{listing}\n);\n{body}\nendmodule\n"

    def _wires(self) -> Iterator[str]:
        lists = [port["bits"] for port in self.module["ports"].values()]
        lists += [bits for cell in self.module["cells"].values() for bits in cell["connections"].values()]
        for bit in sorted({bit for bits in lists for bit in bits if isinstance(bit, int)}):
            yield f"  wire {wire(bit)};"

    def _port_assignments(self) -> Iterator[str]:
        for name, port in self.module["ports"].items():
            if port["direction"] == "output":
                yield f"  assign {name} = {joined(port['bits'])};"
            else:
                yield f"  assign {joined(port['bits'])} = {name};"

    def _cell(self, name: str, cell: dict) -> Iterator[str]:
        kind, pins = cell["type"], cell["connections"]
        if kind in ("$buf", "$pos"):
            yield f"  assign {joined(pins['Y'])} = {joined(pins['A'])};"
            return
        if kind in PRIMITIVES:
            given, module = parameters(cell), kind
        elif kind in self.modules:
            given, module = {}, self.boxes[name] if self.modules[kind]["box"] else self.names[kind]
        else:
            raise FlowError(f"{name} is a {kind}, which is no primitive that is simulated: please report it")
        listing = ", ".join(f".{parameter}({value})" for parameter, value in given.items())
        connections = ", ".join(f".{pin}({joined(bits)})" for pin, bits in pins.items())
        yield f"  {module} {f'#({listing}) ' if listing else ''}\\{name} ({connections});"


def parameters(cell: dict) -> dict[str, str]:
    """Return the parameters of a primitive as literals; the contents of a block RAM are one, unknown bits of it 0."""
    given = cell["parameters"]
    if cell["type"] not in BLOCK_RAM:
        return {name: literal(value) for name, value in given.items()}
    words = re.compile(r"INITP?_[0-9A-F]{2}")
    found = {name: literal(value) for name, value in given.items() if not words.fullmatch(name)}
    for name in ("INIT", "INITP"):
        count = 1 + max((int(key[-2:], 16) for key in given if re.fullmatch(rf"{name}_[0-9A-F]{{2}}", key)), default=0)
        values = [given.get(f"{name}_{index:02X}", "0").zfill(INIT_BITS) for index in reversed(range(count))]
        bits = "".join(values).replace("x", "0")
        found[name] = f"{len(bits)}'h{int(bits, 2):x}"
    return found


def wire(bit: int | str) -> str:
    """Return the text of one bit of a netlist: its wire, or a constant."""
    return f"n{bit}" if isinstance(bit, int) else f"1'b{bit}"


def joined(bits: list) -> str:
    """Return bits, the lowest first, as one expression."""
    return wire(bits[0]) if len(bits) == 1 else f"{{{', '.join(wire(bit) for bit in reversed(bits))}}}"
