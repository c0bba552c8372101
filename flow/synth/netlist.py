"""Reads a netlist of 7-series primitives: its cells, flat, and how many of each resource they take."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from flow.errors import FlowError

from .synthesis import MAPPED, MEMORIES

LUTRAM = {  # look-up tables of a primitive (UG474, tables of distributed RAM and shift registers)
    "RAM32X1S": 1,
    "RAM32X1D": 2,
    "RAM32X2S": 1,
    "RAM32M": 4,
    "RAM64X1S": 1,
    "RAM64X1D": 2,
    "RAM64M": 4,
    "RAM128X1S": 2,
    "RAM128X1D": 4,
    "RAM256X1S": 4,
    "SRL16E": 1,
    "SRLC16E": 1,
    "SRLC32E": 1,
}
FLIP_FLOPS = ("FDRE", "FDSE", "FDCE", "FDPE")
BLOCK_RAM = {"RAMB18E1": 0.5, "RAMB36E1": 1.0}  # in units of 36 Kbit
OTHERS = ("INV", "MUXF7", "MUXF8", "CARRY4", "DSP48E1")  # an INV is absorbed by what it drives
PRIMITIVES = {*(f"LUT{n}" for n in range(1, 7)), *LUTRAM, *FLIP_FLOPS, *BLOCK_RAM, *OTHERS}
SHARED_INPUTS = 5  # of the two functions that a LUT6 gives as LUT6_2


@dataclass(frozen=True)
class Area:
    """Resources that a netlist takes.

    ``lut`` is raw: every LUT primitive, with those that are memory (``lutram``). ``lut_packed`` counts them when pairs
    of LUTs of at most five different inputs share one LUT6 (see `packed_luts`). ``bram36`` counts a RAMB18 as
    half. ``carry`` are CARRY4.
    """

    lut: int = 0
    lut_packed: int = 0
    lutram: int = 0
    ff: int = 0
    bram36: float = 0.0
    dsp: int = 0
    carry: int = 0

    def __add__(self, other: Area) -> Area:
        return Area(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def as_dict(self) -> dict[str, float]:
        """Return the figures by resource."""
        return asdict(self)


@dataclass(frozen=True)
class Cell:
    """A primitive, or an instance of a black box; pins are nets, None where a constant is."""

    kind: str
    name: str
    parameters: dict[str, str]
    pins: dict[str, list[int | None]]


@dataclass
class Flat:
    """A netlist without hierarchy. Nets are numbers; ``names`` has the shortest name of those that have one."""

    cells: list[Cell] = field(default_factory=list)
    boxes: list[Cell] = field(default_factory=list)
    ports: dict[str, tuple[str, list[int | None]]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Memory:
    """A memory of the design: its size, the style asked for, and the primitives that it was mapped to.

    ``mapped`` is "block", "distributed" (LUTs) or "registers".
    """

    name: str
    words: int
    bits: int
    writable: bool
    style: str
    mapped: str

    @property
    def as_wanted(self) -> bool:
        """Whether it was mapped as its style asks; "auto" takes anything."""
        return self.style == "auto" or self.style == self.mapped


def read_netlist(folder: Path) -> dict:
    """Return the netlist that synthesis left in ``folder``."""
    return json.loads((folder / MAPPED).read_text())


def flatten(netlist: dict, top: str) -> Flat:
    """Return the cells of module ``top`` and of all below it.

    Raises:
        FlowError: the netlist has a cell that is no primitive and no module of it.
    """
    return _Flattener(netlist["modules"]).run(top)


class _Flattener:
    def __init__(self, modules: dict):
        self.modules = modules
        self.parent: list[int] = []
        self.flat = Flat()

    def run(self, top: str) -> Flat:
        """Flatten ``top``: nets that hierarchy joins become one."""
        nets: dict[int, int] = {}
        ports = {name: (port["direction"], self._nets(port["bits"], nets)) for name, port in self._ports(top)}
        self._add(top, nets, "")
        flat, self.flat = self.flat, Flat()
        for group, cells in (("cells", flat.cells), ("boxes", flat.boxes)):
            for cell in cells:
                pins = {pin: self._final(bits) for pin, bits in cell.pins.items()}
                getattr(self.flat, group).append(Cell(cell.kind, cell.name, cell.parameters, pins))
        self.flat.ports = {name: (direction, self._final(bits)) for name, (direction, bits) in ports.items()}
        for net, name in flat.names.items():
            net = self._root(net)
            if net not in self.flat.names or len(name) < len(self.flat.names[net]):
                self.flat.names[net] = name
        return self.flat

    def _ports(self, module: str):
        return self.modules[module]["ports"].items()

    def _add(self, name: str, nets: dict[int, int], prefix: str) -> None:
        module = self.modules[name]
        for net, bits in module["netnames"].items():
            for index, bit in enumerate(bits):
                if isinstance(bit, int):
                    label = f"{prefix}{net}[{index}]" if len(bits) > 1 else f"{prefix}{net}"
                    number = self._net(bit, nets)
                    if number not in self.flat.names or len(label) < len(self.flat.names[number]):
                        self.flat.names[number] = label
        for instance, cell in module["cells"].items():
            pins = {pin: self._nets(bits, nets) for pin, bits in cell["connections"].items()}
            kind, label = cell["type"], f"{prefix}{instance}"
            if kind in PRIMITIVES:
                self.flat.cells.append(Cell(kind, label, cell["parameters"], pins))
            elif kind in ("$buf", "$pos"):
                for a, y in zip(pins["A"], pins["Y"], strict=True):
                    self._join(a, y)
            elif kind not in self.modules:
                raise FlowError(f"{label} is a {kind}, which is no primitive that is counted: please report it")
            elif self.modules[kind]["box"]:
                self.flat.boxes.append(Cell(kind, label, cell["parameters"], pins))
            else:
                self._enter(kind, pins, f"{label}.")

    def _enter(self, kind: str, pins: dict[str, list[int | None]], prefix: str) -> None:
        inner: dict[int, int] = {}
        for port, content in self._ports(kind):
            outer = pins.get(port, [None] * len(content["bits"]))
            for bit, net in zip(content["bits"], outer, strict=True):
                if not isinstance(bit, int) or net is None:
                    continue
                if bit in inner:  # one net on two ports
                    self._join(inner[bit], net)
                else:
                    inner[bit] = net
        self._add(kind, inner, prefix)

    def _nets(self, bits: list, nets: dict[int, int]) -> list[int | None]:
        return [self._net(bit, nets) if isinstance(bit, int) else None for bit in bits]

    def _net(self, bit: int, nets: dict[int, int]) -> int:
        if bit not in nets:
            nets[bit] = len(self.parent)
            self.parent.append(len(self.parent))
        return nets[bit]

    def _join(self, a: int | None, b: int | None) -> None:
        if a is not None and b is not None:
            self.parent[self._root(a)] = self._root(b)

    def _root(self, net: int) -> int:
        while self.parent[net] != net:
            self.parent[net] = net = self.parent[self.parent[net]]
        return net

    def _final(self, bits: list[int | None]) -> list[int | None]:
        return [None if bit is None else self._root(bit) for bit in bits]


def count(flat: Flat) -> Area:
    """Return the resources that the cells of a flat netlist take."""
    kinds = Counter(cell.kind for cell in flat.cells)
    logic = sum(number for kind, number in kinds.items() if kind.startswith("LUT"))
    lutram = sum(LUTRAM.get(kind, 0) * number for kind, number in kinds.items())
    return Area(
        lut=logic + lutram,
        lut_packed=packed_luts(flat) + lutram,
        lutram=lutram,
        ff=sum(kinds[kind] for kind in FLIP_FLOPS),
        bram36=sum(size * kinds[kind] for kind, size in BLOCK_RAM.items()),
        dsp=kinds["DSP48E1"],
        carry=kinds["CARRY4"],
    )


def packed_luts(flat: Flat) -> int:
    """Return the LUT6 that the LUTs of a flat netlist take in pairs: an estimate, as no placer was asked.

    Two LUTs share a LUT6 (as LUT6_2) when they have at most five different inputs together. From the largest on, a
    LUT takes the partner with which it shares most inputs; LUTs that share none are paired last. LUTs before a MUXF7
    or MUXF8 stay alone: those take the output O6 of a whole LUT6.
    """
    alone = {
        net for cell in flat.cells if cell.kind == "MUXF7" for pin in ("I0", "I1") for net in cell.pins.get(pin, [])
    }
    luts = [cell for cell in flat.cells if cell.kind.startswith("LUT")]
    single = [cell for cell in luts if cell.kind == "LUT6" or cell.pins["O"][0] in alone]
    inputs = [_inputs(cell) for cell in luts if cell.kind != "LUT6" and cell.pins["O"][0] not in alone]
    inputs.sort(key=len, reverse=True)
    users = defaultdict(list)
    for index, nets in enumerate(inputs):
        for net in nets:
            users[net].append(index)
    left, pairs = dict.fromkeys(range(len(inputs))), 0
    for index in list(left):
        if index not in left:
            continue
        shared = Counter(other for net in inputs[index] for other in users[net] if other in left and other != index)
        partner = next((o for o, _ in shared.most_common() if len(inputs[index] | inputs[o]) <= SHARED_INPUTS), None)
        if partner is not None:
            del left[index], left[partner]
            pairs += 1
    small = sum(len(inputs[index]) <= 2 for index in left)
    middle = sum(len(inputs[index]) == 3 for index in left)
    mixed = min(small, middle)  # 2 + 3 inputs
    pairs += mixed + (small - mixed) // 2
    return len(single) + len(inputs) - pairs


def _inputs(lut: Cell) -> frozenset[int]:
    return frozenset(net for pin, nets in lut.pins.items() if pin != "O" for net in nets if net is not None)


def memories_of(folder: Path, netlist: dict) -> list[Memory]:
    """Return the memories of a part, and where each was mapped, found by the names of the primitives."""
    requested = json.loads((folder / MEMORIES).read_text())
    return [
        Memory(**row, mapped=_mapped(row, netlist["modules"].get(module, {"cells": {}})["cells"]))
        for module, rows in requested.items()
        for row in rows
    ]


def _mapped(row: dict, cells: dict) -> str:
    """Return where a memory went; a ROM that is in no block RAM is in LUTs."""
    kinds = set(_kinds_named(row["name"], cells))
    if kinds & BLOCK_RAM.keys():
        return "block"
    if kinds & LUTRAM.keys() or not row["writable"]:
        return "distributed"
    return "registers"


def _kinds_named(memory: str, cells: dict) -> Iterator[str]:
    pattern = re.compile(rf"{re.escape(memory)}\.\d")
    return (cell["type"] for name, cell in cells.items() if pattern.match(name))
