"""Distributed ROMs as look-up tables: the cells, evaluated, give the table again."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.synth.rom import expand_roms


def rom(words, width, contents):
    """A JSON design with one ROM: address bits from 2 on, then the data's."""
    address_bits = max(1, (words - 1).bit_length())
    address = list(range(2, 2 + address_bits))
    data = list(range(address[-1] + 1, address[-1] + 1 + width))
    number = lambda value: f"{value:032b}"
    parameters = {
        "WIDTH": number(width),
        "SIZE": number(words),
        "ABITS": number(address_bits),
        "OFFSET": number(0),
        "RD_PORTS": number(1),
        "WR_PORTS": number(0),
        "RD_CLK_ENABLE": "0",
        "RD_WIDE_CONTINUATION": "0",
        "INIT": "".join(f"{word:0{width}b}" for word in reversed(contents)),
    }
    cell = {
        "type": "$mem_v2",
        "parameters": parameters,
        "attributes": {"rom_style": "distributed"},
        "connections": {"RD_ADDR": address, "RD_DATA": data},
    }
    nets = {"address": {"bits": address}, "data": {"bits": data}}
    return {"modules": {"top": {"cells": {"table": cell}, "netnames": nets}}}, address, data


def read(design, address_bits, data, address):
    """What the cells give at an address."""
    cells = {c["connections"][_output(c)][0]: c for c in design["modules"]["top"]["cells"].values()}
    known = {bit: (address >> index) & 1 for index, bit in enumerate(address_bits)}

    def value(bit):
        if isinstance(bit, str):
            return int(bit)
        if bit not in known:
            known[bit] = _evaluate(cells[bit], lambda pin: value(cells[bit]["connections"][pin][0]))
        return known[bit]

    return sum(value(bit) << index for index, bit in enumerate(data))


def _output(cell):
    return next(pin for pin, way in cell["port_directions"].items() if way == "output")


def _evaluate(cell, pin):
    kind = cell["type"]
    if kind == "$pos":
        return pin("A")
    if kind == "$mux":
        return pin("B") if pin("S") else pin("A")
    if kind.startswith("MUXF"):
        return pin("I1") if pin("S") else pin("I0")
    index = sum(pin(f"I{i}") << i for i in range(int(kind[3:])))
    return int(cell["parameters"]["INIT"][::-1][index])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 700), st.integers(1, 5), st.integers(0, 3), st.integers(0, 2**32))
def test_every_word_is_read_back(words, width, sparse, seed):
    """Random tables; ``sparse`` of their address bits make no difference, so that functions shrink."""
    values = random.Random(seed)
    table = [values.getrandbits(width) for _ in range(words)]
    contents = [table[address >> sparse] for address in range(words)]
    design, address, data = rom(words, width, contents)
    expand_roms(design)
    assert [read(design, address, data, word) for word in range(words)] == contents


@pytest.mark.parametrize(
    "words, kinds",
    [
        (64, {"LUT6": 1}),
        (128, {"LUT6": 2, "MUXF7": 1}),
        (256, {"LUT6": 4, "MUXF7": 2, "MUXF8": 1}),
        (512, {"LUT6": 8, "MUXF7": 4, "MUXF8": 2, "$mux": 1}),
    ],
)
def test_a_random_bit_takes_a_lut_for_64_words(words, kinds):
    values = random.Random(3)
    design, *_ = rom(words, 1, [values.getrandbits(1) for _ in range(words)])
    expand_roms(design)
    found = [cell["type"] for cell in design["modules"]["top"]["cells"].values() if cell["type"] != "$pos"]
    assert {kind: found.count(kind) for kind in set(found)} == kinds


def test_equal_columns_are_made_once_and_constant_ones_not_at_all():
    values = random.Random(4)
    design, *_ = rom(64, 3, [bit * 0b101 for bit in (values.getrandbits(1) for _ in range(64))])
    expand_roms(design)
    kinds = [cell["type"] for cell in design["modules"]["top"]["cells"].values()]
    assert sorted(kinds) == ["$pos", "$pos", "$pos", "LUT6"]


def test_a_ram_stays():
    design, *_ = rom(64, 1, [0] * 64)
    cell = design["modules"]["top"]["cells"]["table"]
    cell["parameters"]["WR_PORTS"] = f"{1:032b}"
    expand_roms(design)
    assert design["modules"]["top"]["cells"] == {"table": cell}
