"""Delays of 7-series primitives at speed grade -1, in nanoseconds, and the arcs of a cell that follow from them.

Source: DS187 (XC7Z020) and DS181 (Artix-7) give the switching characteristics of the -1 grade (T_ILO, T_CKO, T_SHCKO,
T_RCKO_DO, ...), and timing reports of -1 parts resolve them by pin. The sheets were not at hand: LUT, carry chain and
DSP48E1 were compared with such reports, other figures are approximate, those of a CARRY4 and of a DSP48E1 by formula.
What they are off by goes into LEVEL_NS, which is fitted to placed designs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .netlist import FLIP_FLOPS, LUTRAM, Cell

LEVEL_NS = 1.0  # a LUT and the route to it, fitted to placed designs: docs/explanation/hardware.md
LUT = 0.124
CLOCK_TO_FF, CLOCK_TO_LUTRAM, CLOCK_TO_SRL = 0.456, 1.314, 1.63
CLOCK_TO_BRAM, CLOCK_TO_BRAM_REGISTER = 2.454, 0.882
FF_SETUP = {"D": 0.08, "CE": 0.205, "R": 0.429, "S": 0.429, "CLR": 0.429, "PRE": 0.429}
LUTRAM_SETUP = {"W": 0.533, "D": 0.35, "A": 0.35}  # by the first letter of the pin: WE, DI, ADDR
BRAM_SETUP = {"ADDR": 0.566, "DI": 0.737, "WE": 0.532, "EN": 0.443, "RST": 0.342, "REGCE": 0.36}
MUXF = {"MUXF7": 0.245, "MUXF8": 0.104}
MUXF_SELECT = {"MUXF7": 0.297, "MUXF8": 0.273}
WIDE_READ = {"RAM128X1S": 0.245, "RAM128X1D": 0.245, "RAM256X1S": 0.349}  # their MUXF7, MUXF8 beyond a LUT
CARRY_SUM_FROM_CARRY = (0.222, 0.334, 0.239, 0.313)  # CI to O[k]
DSP_MULTIPLY, DSP_ADD = 3.841, 1.82  # A or B to P through the multiplier, C to P
DSP_REGISTER_SETUP, DSP_MULTIPLY_SETUP, DSP_CONTROL_SETUP = 0.362, 2.864, 0.5
CLOCK_TO_DSP = {"P": 0.434, "M": 1.8, "AB": 4.009}  # by the last register before the output


@dataclass(frozen=True)
class Arc:
    """From one net to another through a cell. ``kind`` of its input pin decides what route leads there."""

    source: int
    sink: int
    delay: float
    pin: str
    level: int = 0  # LUT levels


@dataclass(frozen=True)
class End:
    """A clocked output (launch: delay after the clock) or input (capture: set-up time) of a cell, on a net."""

    net: int
    delay: float
    pin: str


def launches(cell: Cell) -> Iterator[End]:
    """Yield the outputs of a cell that change with the clock."""
    for pin, delay in _clocked_outputs(cell):
        for net in cell.pins.get(pin, ()):
            if net is not None:
                yield End(net, delay, pin)


def captures(cell: Cell) -> Iterator[End]:
    """Yield the inputs of a cell that must be there before the clock."""
    for pin, nets in cell.pins.items():
        setup = _setup(cell, pin)
        if setup is not None:
            for net in nets:
                if net is not None:
                    yield End(net, setup, pin)


def arcs(cell: Cell) -> Iterator[Arc]:
    """Yield the combinational ways through a cell."""
    for source, sink, delay, level in _ways(cell):
        for a in cell.pins.get(source, ()):
            for y in cell.pins.get(sink, ()):
                if a is not None and y is not None:
                    yield Arc(a, y, delay, source, level)
    if cell.kind == "CARRY4":
        yield from _carry_arcs(cell)


def in_slice(driver: str, kind: str, pin: str) -> bool:
    """Return whether the way from a cell of kind ``driver`` to a pin needs no route: within a slice, or a dedicated
    wire."""
    if kind == "MUXF7":
        return pin != "S" and driver.startswith("LUT")
    if kind == "MUXF8":
        return pin != "S" and driver == "MUXF7"
    if kind == "CARRY4":
        return (pin == "S" and driver.startswith("LUT")) or (pin == "CI" and driver == "CARRY4")
    if kind in FLIP_FLOPS:
        return pin == "D" and (driver.startswith(("LUT", "MUXF")) or driver == "CARRY4" or driver in LUTRAM)
    if kind == "DSP48E1":
        return pin.startswith(("PCIN", "ACIN", "BCIN"))
    return kind == "INV"


def _number(cell: Cell, name: str, default: int) -> int:
    text = cell.parameters.get(name)
    return default if text is None else int(text, 2)


def _clocked_outputs(cell: Cell) -> Iterator[tuple[str, float]]:
    kind = cell.kind
    if kind in FLIP_FLOPS:
        yield "Q", CLOCK_TO_FF
    elif kind.startswith("SRL"):
        yield from (("Q", CLOCK_TO_SRL), ("Q15", CLOCK_TO_SRL), ("Q31", CLOCK_TO_SRL))
    elif kind in LUTRAM:
        yield from ((pin, CLOCK_TO_LUTRAM + WIDE_READ.get(kind, 0.0)) for pin in cell.pins if _is_read_data(pin))
    elif kind.startswith("RAMB"):
        for pin in cell.pins:
            if pin.startswith("DO"):
                register = _number(cell, "DOA_REG" if pin in ("DOADO", "DOPADOP") else "DOB_REG", 0)
                yield pin, CLOCK_TO_BRAM_REGISTER if register else CLOCK_TO_BRAM
    elif kind == "DSP48E1":
        last = "P" if _number(cell, "PREG", 1) else "M" if _number(cell, "MREG", 1) else "AB"
        if last != "AB" or _number(cell, "AREG", 1) or _number(cell, "BREG", 1):
            yield from ((pin, CLOCK_TO_DSP[last]) for pin in ("P", "PCOUT"))


def _is_read_data(pin: str) -> bool:
    return pin in ("O", "SPO", "DPO", "O0", "O1") or pin.startswith("DO")


def _setup(cell: Cell, pin: str) -> float | None:
    """Return the set-up time of a pin, None where it is no clocked input."""
    kind = cell.kind
    if kind in FLIP_FLOPS:
        return FF_SETUP.get(pin)
    if kind in LUTRAM:
        if "CLK" in pin or _is_read_data(pin) or pin.startswith(("Q", "DPRA", "ADDRA", "ADDRB", "ADDRC")):
            return None
        if kind.startswith("SRL") and pin[0] == "A":
            return None
        return FF_SETUP["CE"] if pin == "CE" else LUTRAM_SETUP[pin[0]]
    if kind.startswith("RAMB"):
        return next((setup for start, setup in BRAM_SETUP.items() if pin.startswith(start)), None)
    if kind == "DSP48E1":
        return _dsp_setup(cell, pin)
    return None


def _dsp_setup(cell: Cell, pin: str) -> float | None:
    if pin.startswith(("CE", "RST")):
        return DSP_CONTROL_SETUP
    if pin in ("A", "B", "C", "D") and _number(cell, {"A": "AREG", "B": "BREG", "C": "CREG", "D": "DREG"}[pin], 1):
        return DSP_REGISTER_SETUP
    if pin in ("A", "B", "D") and _number(cell, "MREG", 1):
        return DSP_MULTIPLY_SETUP
    if pin in ("A", "B", "C", "D", "PCIN") and _number(cell, "PREG", 1):
        return DSP_ADD if pin in ("C", "PCIN") else DSP_MULTIPLY
    return None


def _ways(cell: Cell) -> Iterator[tuple[str, str, float, int]]:
    """Yield (input pin, output pin, delay, LUT levels)."""
    kind = cell.kind
    if kind == "INV":
        yield "I", "O", 0.0, 0
    elif kind.startswith("LUT"):
        yield from ((pin, "O", LUT, 1) for pin in cell.pins if pin != "O")
    elif kind in MUXF:
        yield from (("I0", "O", MUXF[kind], 0), ("I1", "O", MUXF[kind], 0), ("S", "O", MUXF_SELECT[kind], 0))
    elif kind in ("RAM32M", "RAM64M"):
        yield from ((f"ADDR{x}", f"DO{x}", LUT, 1) for x in "ABCD")
    elif kind in LUTRAM:
        delay = LUT + WIDE_READ.get(kind, 0.0)
        for pin in cell.pins:
            if pin.startswith("DPRA"):
                yield pin, "DPO", delay, 1
            elif pin == "A" or (pin[0] == "A" and pin[1:].isdigit()):
                yield from ((pin, output, delay, 1) for output in ("O", "SPO", "Q", "O0", "O1"))
    elif kind == "DSP48E1" and not _number(cell, "PREG", 1):
        for pin in ("A", "B", "C", "PCIN"):
            if _dsp_setup(cell, pin) is None:
                delay = DSP_ADD if pin in ("C", "PCIN") else DSP_MULTIPLY
                yield from ((pin, output, delay, 0) for output in ("P", "PCOUT"))


def _carry_arcs(cell: Cell) -> Iterator[Arc]:
    """Yield the ways through a CARRY4: operands and carry-in at position i to sums O and carries CO at k >= i."""
    pins = {name: cell.pins.get(name, []) for name in ("O", "CO", "S", "DI", "CI", "CYINIT")}

    def arc(source: str, i: int, sink: str, k: int, delay: float) -> Iterator[Arc]:
        if i < len(pins[source]) and k < len(pins[sink]):
            a, y = pins[source][i], pins[sink][k]
            if a is not None and y is not None:
                yield Arc(a, y, delay, source)

    for k in range(4):
        yield from arc("CI", 0, "O", k, CARRY_SUM_FROM_CARRY[k])
        yield from arc("CI", 0, "CO", k, 0.114 if k == 3 else 0.2)
        yield from arc("CYINIT", 0, "O", k, 0.48 + 0.04 * k)
        yield from arc("CYINIT", 0, "CO", k, 0.50 + 0.03 * k)
        yield from arc("S", k, "O", k, 0.25)
        for i in range(k + 1):
            yield from arc("S", i, "CO", k, 0.40 + 0.045 * (k - i))
            yield from arc("DI", i, "CO", k, 0.40 + 0.045 * (k - i))
            if i < k:
                yield from arc("S", i, "O", k, 0.40 + 0.06 * (k - i))
                yield from arc("DI", i, "O", k, 0.40 + 0.06 * (k - i))
