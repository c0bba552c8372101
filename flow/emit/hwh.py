"""Writes a hardware hand-off of the block design, for the simulated PYNQ device (deploy/platforms/pynq_device.py).

It holds what pynq 3.1.2 reads: the cells ps, dma and accelerator with their parameters, registers and addresses, and no
wires. A board takes the hand-off that Vivado writes beside its bitstream.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy import registers
from flow.emit.core import render
from flow.emit.vivado import DMA_PARAMETERS, block_design
from flow.plan.target import divisors
from flow.project import read_manifest

PLL_MHZ = 1000  # of both PYNQ boards: 50 MHz times 20
DMA_REGISTERS = {"DMACR": 0x00, "DMASR": 0x04, "LENGTH": 0x28}  # of both channels, beside their addresses; Xilinx PG021
MASTERS = {"ps/Data": "M_AXI_GP0", "dma/Data_MM2S": "M_AXI_MM2S", "dma/Data_S2MM": "M_AXI_S2MM"}  # of address spaces


@dataclass(frozen=True)
class Register:
    """A register by name, at a byte offset."""

    name: str
    offset: int
    access: str = "read-write"


@dataclass(frozen=True)
class Range:
    """Addresses first to last of ``master`` are ``block`` of the interface ``slave`` of ``cell``."""

    master: str
    cell: str
    slave: str
    block: str
    first: str
    last: str

    @property
    def kind(self) -> str:
        """What the hand-off calls it."""
        return "MEMORY" if self.cell == "ps" else "REGISTER"


@dataclass(frozen=True)
class Cell:
    """A cell of the block design. slaves, masters: its memory-mapped interfaces; registers: those of the only slave
    that has any."""

    name: str
    ip: str
    parameters: dict[str, float]
    slaves: list[str]
    ranges: list[Range]
    registers: list[Register]

    @property
    def masters(self) -> list[str]:
        """Names of its masters, each once."""
        return list(dict.fromkeys(reached.master for reached in self.ranges))


def emit_hwh(rtl_project: Path, path: Path, pll_mhz: float = PLL_MHZ) -> Path:
    """Write the hand-off of the design around ``rtl_project`` to ``path``; return it.

    ``pll_mhz`` is what the design takes for the board's PLL: with another than the board's, as Vivado assumes without
    board files and settings, a hand-off has the wrong divisors.

    Raises:
        FlowError: no RTL project there.
        ValueError: the PLL cannot make the project's clock.
    """
    manifest = read_manifest(rtl_project)
    addresses = block_design(ddr=bool(manifest["regions"]))["addresses"]
    ranges = {cell: _ranges(cell, addresses) for cell in ("ps", "dma", "accelerator")}
    memories = sorted({reached.slave for cell in ("dma", "accelerator") for reached in ranges[cell]})
    clocks = _clock_parameters(manifest["clock_mhz"], pll_mhz)
    cells = [
        Cell("ps", "xilinx.com:ip:processing_system7:5.5", clocks, memories, ranges["ps"], []),
        Cell("dma", "xilinx.com:ip:axi_dma:7.1", DMA_PARAMETERS, ["S_AXI_LITE"], ranges["dma"], _dma_registers()),
        Cell("accelerator", "popbin:flow:accelerator:1.0", {}, ["s_axi"], ranges["accelerator"], _registers(manifest)),
    ]
    path.write_text(render("vivado", "accelerator.hwh", build_id=manifest["build_id"], cells=cells), encoding="utf-8")
    return path


def _clock_parameters(clock_mhz: float, pll_mhz: float) -> dict[str, float]:
    """Return FCLK_CLK0 as ``clock_mhz`` of a PLL of ``pll_mhz``; the other clocks off."""
    pair = divisors(pll_mhz, clock_mhz)
    parameters = {"PCW_FPGA0_PERIPHERAL_FREQMHZ": clock_mhz}
    for clock in range(4):
        parameters[f"PCW_FPGA_FCLK{clock}_ENABLE"] = int(clock == 0)
        for index in range(2):
            parameters[f"PCW_FCLK{clock}_PERIPHERAL_DIVISOR{index}"] = pair[index] if clock == 0 else 1
    return parameters


def _dma_registers() -> list[Register]:
    channels = {"MM2S": (0x00, "SA"), "S2MM": (0x30, "DA")}
    return [
        Register(f"{channel}_{name}", base + offset)
        for channel, (base, address) in channels.items()
        for name, offset in {**DMA_REGISTERS, address: 0x18, f"{address}_MSB": 0x1C}.items()
    ]


def _registers(manifest: dict) -> list[Register]:
    """Return the accelerator's registers; those of an array are numbered."""
    found = registers.names(len(manifest["regions"]), len(manifest["layers"]))
    return [
        Register(name, offset, "read-write" if name.startswith(registers.WRITABLE) else "read-only")
        for name, offset in found.items()
    ]


def _ranges(cell: str, addresses: list[tuple[str, str, str, str]]) -> list[Range]:
    """Return the address ranges that the masters of ``cell`` reach."""
    found = []
    for space, segment, offset, size in addresses:
        if space.startswith(f"{cell}/"):
            last = int(offset, 16) + int(size, 16) - 1
            master = MASTERS.get(space, space.removeprefix(f"{cell}/"))
            found.append(Range(master, *segment.split("/"), offset, f"0x{last:08X}"))
    return found
