"""ROMs in look-up tables, as LUT6, MUXF7 and MUXF8: ``rom_style = "distributed"``, which Yosys 0.70 refuses.

A column of the ROM (one bit of every word) is a function of the address. A LUT6 holds 64 values of it; MUXF7 and MUXF8
join two and four of them in a slice, further address bits select in logic. Equal functions are made once, and address
bits that a function does not depend on are left out.
"""

from __future__ import annotations

from collections.abc import Iterator

VERSION = "1"  # of what expand_roms makes: netlists that are kept are of one version
LUT_INPUTS = 6
SLICE_MUX = {7: "MUXF7", 8: "MUXF8"}  # by the address bits of what it gives


def distributed_roms(module: dict) -> Iterator[tuple[str, dict]]:
    """Yield (name, cell) of the memories of a JSON module that are ROMs, read without a clock, in look-up tables."""
    for name, cell in module["cells"].items():
        if cell["type"] == "$mem_v2" and cell["attributes"].get("rom_style") == "distributed" and _is_rom(cell):
            yield name, cell


def expand_roms(design: dict) -> None:
    """Put look-up tables in the place of every distributed ROM of a JSON design, before memories are mapped."""
    for module in design["modules"].values():
        for name, cell in list(distributed_roms(module)):
            del module["cells"][name]
            _Expansion(module, name).expand(cell)


def _is_rom(cell: dict) -> bool:
    number = lambda name: int(cell["parameters"][name], 2)
    return not (number("WR_PORTS") or number("RD_CLK_ENABLE") or number("OFFSET") or number("RD_WIDE_CONTINUATION"))


class _Expansion:
    """The cells that one ROM becomes, in its module."""

    def __init__(self, module: dict, name: str):
        self.module, self.name = module, name
        bits = (bit for net in module["netnames"].values() for bit in net["bits"])
        self.next_bit = max((bit for bit in bits if isinstance(bit, int)), default=1) + 1
        self.made: dict[tuple, int] = {}

    def expand(self, cell: dict) -> None:
        """Make the cells of every read port."""
        parameters = cell["parameters"]
        width, size, address_bits, ports = (int(parameters[k], 2) for k in ("WIDTH", "SIZE", "ABITS", "RD_PORTS"))
        columns = _columns(parameters["INIT"], width, size, address_bits)
        for port in range(ports):
            address = cell["connections"]["RD_ADDR"][port * address_bits : (port + 1) * address_bits]
            data = cell["connections"]["RD_DATA"][port * width : (port + 1) * width]
            for bit, column in zip(data, columns, strict=True):
                self._connect(bit, self._function(tuple(address), column))

    def _function(self, address: tuple, table: int):
        """Return the bit that is bit ``address`` of ``table``, which has 2**len(address) bits."""
        address, table = _support(address, table)
        if not address:
            return str(table)
        if (address, table) == ((address[0],), 0b10):
            return address[0]
        if (address, table) not in self.made:
            self.made[address, table] = self._make(address, table)
        return self.made[address, table]

    def _make(self, address: tuple, table: int) -> int:
        if len(address) <= LUT_INPUTS:
            return self._lut(address, table)
        low, high = _halves(len(address), table)
        rest, select = address[:-1], address[-1]
        kind = SLICE_MUX.get(len(address))
        if kind and all(_support(rest, half)[0] == rest for half in (low, high)):
            ports = {"I0": self._function(rest, low), "I1": self._function(rest, high), "S": select}
            return self._cell(kind, {}, ports, "O")
        ports = {"A": self._function(rest, low), "B": self._function(rest, high), "S": select}
        return self._cell("$mux", {"WIDTH": f"{1:032b}"}, ports, "Y")

    def _lut(self, address: tuple, table: int) -> int:
        size = 1 << len(address)
        ports = {f"I{index}": bit for index, bit in enumerate(address)}
        return self._cell(f"LUT{len(address)}", {"INIT": f"{table:0{size}b}"}, ports, "O")

    def _connect(self, data, value) -> None:
        """Drive the bit ``data`` of the module by ``value``, by a buffer that optimisation takes away."""
        parameters = {"A_SIGNED": f"{0:032b}", "A_WIDTH": f"{1:032b}", "Y_WIDTH": f"{1:032b}"}
        self._cell("$pos", parameters, {"A": value}, "Y", data)

    def _cell(self, kind: str, parameters: dict, inputs: dict, output: str, bit: int | None = None) -> int:
        if bit is None:
            bit, self.next_bit = self.next_bit, self.next_bit + 1
            self.module["netnames"][f"{self.name}.lut{bit}"] = {"hide_name": 1, "bits": [bit], "attributes": {}}
        self.module["cells"][f"{self.name}.{kind}_{len(self.module['cells'])}"] = {
            "hide_name": 0,
            "type": kind,
            "parameters": parameters,
            "attributes": {},
            "port_directions": {**dict.fromkeys(inputs, "input"), output: "output"},
            "connections": {**{port: [value] for port, value in inputs.items()}, output: [bit]},
        }
        return bit


def _columns(init: str, width: int, size: int, address_bits: int) -> list[int]:
    """Return the table of every bit of a word; bits that are unknown, or not there, are 0."""
    bits = init.replace("x", "0")[::-1]
    columns = [int(bits[column : size * width : width][::-1] or "0", 2) for column in range(width)]
    return [column & ((1 << (1 << address_bits)) - 1) for column in columns]


def _halves(inputs: int, table: int) -> tuple[int, int]:
    half = 1 << (inputs - 1)
    return table & ((1 << half) - 1), table >> half


def _support(address: tuple, table: int) -> tuple[tuple, int]:
    """Return the function without the address bits that make no difference to it."""
    index = 0
    while index < len(address):
        without = _cofactors(len(address), table, index)
        if without is None:
            index += 1
        else:
            address, table = address[:index] + address[index + 1 :], without
    return address, table


def _cofactors(inputs: int, table: int, index: int) -> int | None:
    """Return the table without input ``index`` if both values of it give the same, else None."""
    block, size = 1 << index, 1 << inputs
    mask = ((1 << size) - 1) // ((1 << block) + 1)  # the entries in which the input is 0
    if (table ^ (table >> block)) & mask:
        return None
    found, position = 0, 0
    chunk = (1 << block) - 1
    for start in range(0, size, 2 * block):
        found |= ((table >> start) & chunk) << position
        position += block
    return found
