"""deploy/registers.py against rtl/control.sv: its header, its decoder of reads and its bits; and the numbered names."""

import re
from pathlib import Path

import pytest

from deploy import registers
from deploy.errors import DeviceError
from deploy.registers import CLEAR, ENABLE, OFFSETS, Registers
from flow.library import rtl_folder

SOURCE = (rtl_folder() / "control.sv").read_text()
WIRES = {  # what the decoder gives -> the register
    "enable_q": "CTRL",
    "error_i": "STATUS",
    "frames_in_q": "FRAMES_IN",
    "frames_out_q": "FRAMES_OUT",
    "cycles_q[31:0]": "CYCLES_LOW",
    "cycles_high_stored_q": "CYCLES_HIGH",
    "interval_q": "INTERVAL",
    "latency_q": "LATENCY",
    "per_packet_q": "FRAMES_PER_PACKET",
    "32'(Layers)": "LAYERS",
    "32'(ClockKhz)": "CLOCK_KHZ",
    "BuildId[31:0]": "BUILD_ID",
}


def test_header():
    lines = re.findall(r"^///   (0x[0-9A-F]+)(?: \.\. 0x3C| \+ 4\*i)? +([A-Z_]+\b)(?: +(r/w))?", SOURCE, re.MULTILINE)
    found = {name: int(offset, 16) for offset, name, _ in lines}
    (layer,) = re.findall(r"^///   (0x[0-9A-F]+) \+ 16\*l +layer l", SOURCE, re.MULTILINE)
    assert found | {"LAYER": int(layer, 16)} == OFFSETS
    assert tuple(name for _, name, access in lines if access) == registers.WRITABLE


def test_reads():
    cases = re.findall(r"WordBits'\((\d+)\): register = (.*);", SOURCE)
    found = {name: 4 * int(word) for word, value in cases for wire, name in WIRES.items() if wire in value}
    (bases,) = re.findall(r"WordBits'\((\d+) \+ i\)\) register = weight_base_o", SOURCE)
    (layers,) = re.findall(r"is_layer +=.*>= WordBits'\((\d+)\)", SOURCE)
    assert found | {"WEIGHT_BASE": 4 * int(bases), "LAYER": 4 * int(layers)} == OFFSETS


def test_bits():
    control, status = re.findall(r"WordBits'\([01]\): register = \{\d+'d0, (.*)\};", SOURCE)
    assert control.split(", ") == ["clear", "reset_q != 5'd0", "enable_q"]  # bits 2, 1, 0
    assert (registers.CLEAR, registers.SOFT_RESET, registers.ENABLE) == (4, 2, 1)
    assert status.split(", ") == ["error_i", "in_core_q == 7'd0"]
    assert (registers.AXI_ERROR, registers.IDLE) == (2, 1)


def test_counters():
    (events,) = re.findall(r"logic \[3:0\] event_now; +// (.*)", SOURCE)
    assert tuple(events.replace("frame,", "frames,").split(", ")) == registers.LAYER_COUNTERS
    assert registers.LAYER_BYTES == 16 and re.search(r"\+0 frames done, \+4 busy cycles", SOURCE)


def test_names():
    found = registers.names(2, 3)
    assert found["BUILD_ID_3"] == 0x3C and found["WEIGHT_BASE_1"] == 0x44 and found["LAYER_2_STARVE"] == 0x80 + 32 + 12
    assert len(set(found.values())) == len(found)
    assert found["LAYER_0_FRAMES"] >= found["WEIGHT_BASE_1"] + 4
    most = registers.names(registers.MAX_REGIONS, registers.MAX_LAYERS)
    assert most["WEIGHT_BASE_7"] < OFFSETS["LAYER"] and max(most.values()) < 1 << 12


def test_counters_that_are_never_clear():
    written = []
    device = Registers(lambda address: ENABLE | CLEAR, lambda *words: written.append(words), OFFSETS)
    with pytest.raises(DeviceError, match="not cleared: CTRL is 0x5 after 1000 reads; load the bitfile again"):
        device.clear()
    assert written == [(OFFSETS["CTRL"], ENABLE | CLEAR)]


def test_registers_by_name():
    memory = {}
    device = Registers(lambda address: memory.get(address, 0), memory.__setitem__, OFFSETS)
    device.set_weight_base(1, 0x1000)
    device.write("FRAMES_PER_PACKET", 7)
    assert memory == {0x44: 0x1000, 0x20: 7} and device.read("FRAMES_PER_PACKET") == 7
    memory |= {0x30: 1, 0x34: 2, 0x38: 3, 0x3C: 4, 0x80 + 16 + 8: 99}
    assert device.build_id() == 1 | 2 << 32 | 3 << 64 | 4 << 96
    assert device.layer(1).stall == device.counter(1, "stall") == 99
    with pytest.raises(KeyError):
        device.read("NONE")


def test_the_map_stands_in_one_file():
    """No other Python file of the flow or the driver has a table of offsets of its own."""
    root = Path(registers.__file__).parents[1]
    for folder in ("flow", "deploy"):
        for path in (root / folder).rglob("*.py"):
            if path != Path(registers.__file__):
                assert not re.search(r'"(FRAMES_PER_PACKET|CYCLES_LOW)": *(0x|\d)', path.read_text()), path
