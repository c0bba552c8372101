"""A simulated Zynq-7000 under pynq's own classes: the driver's board platform runs on it as on a board, bit by bit.

    Board(package, PynqDevice(package))

The accelerator is the simulator of the package, the DMA a model of its registers, and the DDR is memory apart from that
of the process, as the caches of the processor make it on a board: what the CPU wrote is there after a flush, what the
DMA wrote can be read after an invalidate. Time is the accelerator's cycles at the clock that the registers of the
processor make of a 50 MHz crystal, and passes with accesses of registers only.

What differs from a board: the DMA has no latency of its own and takes no logit before a transfer; a transfer outside of
all buffers is an error, where a board has errors outside of the DDR only.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pynq
from pynq.buffer import PynqBuffer
from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser
from pynq.ps import ZYNQ_ARCH
from pynqmetadata.frontends import Metadata

from ..package import SIMULATOR, Package
from ..simulator import Device

DDR_BYTES = 512 << 20
CMA = 384 << 20  # PYNQ keeps the last 128 MiB for buffers
PAGE = 4096
FREED = 0xA5  # what a freed buffer is filled with

CONTROL, STATUS, ADDRESS, LENGTH = 0x00, 0x04, 0x18, 0x28  # of each channel; Xilinx PG021, direct register mode
SEND, RECEIVE = 0x00, 0x30
RUN, RESET, CONTROL_DEFAULT = 1 << 0, 1 << 2, 0x1_0002  # DMACR
HALTED, IDLE, INTERNAL_ERROR, DECODE_ERROR = 1 << 0, 1 << 1, 1 << 4, 1 << 6  # DMASR
COMPLETE, FAILED = 1 << 12, 1 << 14  # its interrupts, which are cleared by writing 1
LENGTH_BITS = 26
CYCLES_PER_READ = 2_000  # of a register of the DMA, about what Python takes on a Zynq-7000 at 100 MHz

SLCR, SLCR_BYTES = 0xF800_0000, 0x1000  # the processor's clock control, where Overlay.download sets FCLK_CLK0; UG585
CRYSTAL_MHZ = 50
ARM_PLL, DDR_PLL, IO_PLL, FCLK0 = 0x100, 0x104, 0x108, 0x170
BOOTED = {ARM_PLL: 26 << 12, DDR_PLL: 21 << 12, IO_PLL: 20 << 12, FCLK0: 2 << 20 | 5 << 8}  # by PYNQ's image: 100 MHz


class PhysicalMemory:
    """The DDR as the programmable logic sees it, and the buffers in it."""

    def __init__(self):
        self.bytes = np.zeros(DDR_BYTES, np.uint8)  # takes real memory where it is touched
        self._sizes: dict[int, int] = {}
        self._next = CMA

    def allocate(self, size: int) -> int:
        """Return the address of a new buffer; a page is never used twice.

        Raises:
            RuntimeError: as pynq, when no memory is left.
        """
        address, self._next = self._next, self._next + -(-size // PAGE) * PAGE
        if self._next > DDR_BYTES:
            raise RuntimeError(f"no {size} bytes of contiguous memory are left")
        self._sizes[address] = size
        return address

    def return_pointer(self, address: int) -> None:
        """Free a buffer; pynq calls this name."""
        self.bytes[address : address + self._sizes.pop(address)] = FREED

    def find(self, address: int, size: int) -> np.ndarray | None:
        """Return the bytes at ``address``, if they lie in one buffer."""
        if any(start <= address and address + size <= start + length for start, length in self._sizes.items()):
            return self.bytes[address : address + size]
        return None


class Channel:
    """One direction of the AXI DMA in direct register mode. `begin` starts a transfer, `progress` carries it on."""

    def __init__(self, accelerator: Device, memory: PhysicalMemory):
        self.accelerator, self.memory = accelerator, memory
        self.reset()

    def reset(self) -> None:
        self.running = self.active = self.idle = False
        self.address = self.length = self.events = 0

    def begin(self, data: np.ndarray) -> None:
        raise NotImplementedError

    def progress(self) -> None:
        raise NotImplementedError

    def read(self, register: int) -> int:
        if self.active:
            self.progress()
        halted = not self.running and not self.active
        status = HALTED * halted | IDLE * (self.idle and not halted) | self.events
        values = {
            CONTROL: CONTROL_DEFAULT | RUN * self.running,
            STATUS: status,
            ADDRESS: self.address,
            LENGTH: self.length,
        }
        return values.get(register, 0)

    def write(self, register: int, value: int) -> None:
        if register == CONTROL:
            failed = self.events & (INTERNAL_ERROR | DECODE_ERROR)  # which stay until reset
            self.running = bool(value & RUN) and not failed
            self.idle = self.idle and self.running
        elif register == STATUS:
            self.events &= ~(value & (COMPLETE | FAILED))
        elif register == ADDRESS:
            self.address = value
        elif register == LENGTH and self.running and not self.active:
            self.length = value & ((1 << LENGTH_BITS) - 1)
            data = self.memory.find(self.address, self.length)
            self.active, self.idle = True, False
            if data is None:
                self.fail(DECODE_ERROR)
            else:
                self.begin(data)

    def complete(self) -> None:
        self.active, self.idle = False, True
        self.events |= COMPLETE

    def fail(self, kind: int) -> None:
        self.active = self.running = False
        self.events |= kind | FAILED


class SendChannel(Channel):
    """MM2S. The accelerator's pixels are read from memory when it takes them."""

    def begin(self, data):
        self.accelerator.queue_pixels(data)

    def progress(self):
        if not self.accelerator.waiting[0]:
            self.complete()


class ReceiveChannel(Channel):
    """S2MM. A packet ends the transfer, and may be shorter than its buffer, not longer."""

    def begin(self, data):
        self.target = data.view("<i4")
        self.accelerator.queue_packet(len(self.target))

    def progress(self):
        given = self.accelerator.beats[1]
        self.target[:given] = self.accelerator.logits[:given]
        if given and self.accelerator.lasts[given - 1]:
            self.length = 4 * given
            self.complete()
        elif given == len(self.target):
            self.fail(INTERNAL_ERROR)


class AxiDma:
    """The registers of both channels. A read takes CYCLES_PER_READ."""

    def __init__(self, accelerator: Device, memory: PhysicalMemory):
        self.accelerator = accelerator
        self.channels = {SEND: SendChannel(accelerator, memory), RECEIVE: ReceiveChannel(accelerator, memory)}

    def read(self, address: int) -> int:
        self.accelerator.advance(CYCLES_PER_READ)
        base = RECEIVE if address >= RECEIVE else SEND
        return self.channels[base].read(address - base)

    def write(self, address: int, value: int) -> None:
        base = RECEIVE if address >= RECEIVE else SEND
        if address - base == CONTROL and value & RESET:  # of either channel resets both
            self.accelerator.drop()
            for channel in self.channels.values():
                channel.reset()
        else:
            self.channels[base].write(address - base, value)


class ClockControl:
    """The registers that set the clocks of the logic: words that keep what is written, and the clock they make."""

    def __init__(self):
        self._words = dict(BOOTED)

    @property
    def fclk0_mhz(self) -> float:
        """FCLK_CLK0: a PLL of the crystal's clock, divided twice."""
        control = self._words[FCLK0]
        pll = (IO_PLL, IO_PLL, ARM_PLL, DDR_PLL)[control >> 4 & 3]
        return CRYSTAL_MHZ * (self._words[pll] >> 12 & 0x7F) / ((control >> 8 & 0x3F) * (control >> 20 & 0x3F))

    def read(self, address: int) -> int:
        return self._words.get(address, 0)

    def write(self, address: int, value: int) -> None:
        self._words[address] = value


class PynqDevice(pynq.Device):
    """The device with ``package`` on it, powered up; pynq's download powers it up anew.

    Raises:
        PackageError: the package has no simulator.
    """

    def __init__(self, package: Package):
        super().__init__("popbin_simulated")
        self.capabilities = {"REGISTER_RW": True}
        self.arch = ZYNQ_ARCH
        self.package = package
        self.memory = PhysicalMemory()
        self._clocks = ClockControl()
        self._power_up()

    @property
    def clock_mhz(self) -> float:
        """FCLK_CLK0, the accelerator's clock."""
        return self._clocks.fclk0_mhz

    def seconds(self) -> float:
        """Return the seconds since the accelerator was powered up; each cycle took what the clock was then."""
        return self._passed + (self.accelerator.cycles - self._counted) / (self.clock_mhz * 1e6)

    # what pynq.Overlay, MMIO and buffers call

    def download(self, bitstream, parser=None) -> None:
        self._power_up()
        self.post_download(bitstream, parser)

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> RuntimeMetadataParser:
        return RuntimeMetadataParser(Metadata(str(Path(bitfile_name).with_suffix(".hwh"))))

    def read_registers(self, address: int, length: int) -> bytes:
        block, offset = self._at(address)
        return b"".join(block.read(offset + word).to_bytes(4, "little") for word in range(0, length, 4))

    def write_registers(self, address: int, data: bytes) -> None:
        block, offset = self._at(address)
        if block is self._clocks:
            self._passed, self._counted = self.seconds(), self.accelerator.cycles
        for word in range(0, len(data), 4):
            block.write(offset + word, int.from_bytes(data[word : word + 4], "little"))

    def allocate(self, shape, dtype, **_) -> PynqBuffer:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = self.memory.allocate(size)
        buffer = PynqBuffer(
            shape, dtype, buffer=np.zeros(size, np.uint8), device=self, device_address=address, bo=address
        )
        buffer.memory, buffer.pointer, buffer.return_to = self, address, self.memory
        buffer.freed = True  # there is no mapping to take back
        return buffer

    def flush(self, bo: int, offset: int, pointer: int, size: int) -> None:
        self.memory.bytes[bo + offset :][:size] = _bytes_at(pointer, size)

    def invalidate(self, bo: int, offset: int, pointer: int, size: int) -> None:
        _bytes_at(pointer, size)[:] = self.memory.bytes[bo + offset :][:size]

    # inside

    def _power_up(self) -> None:
        library = self.package.path(SIMULATOR).resolve()
        self.accelerator = Device(library, library.parent, self.memory.bytes, streams=self.package.streams)
        self._passed, self._counted = 0.0, 0  # seconds and cycles when the clock was changed last
        self.dma = AxiDma(self.accelerator, self.memory)

    def _at(self, address: int) -> tuple[Device | AxiDma | ClockControl, int]:
        """Return the block that answers at a physical address, and the offset in it."""
        if SLCR <= address < SLCR + SLCR_BYTES:
            return self._clocks, address - SLCR
        for name, block in (("accelerator", self.accelerator), ("dma", self.dma)):
            base, size = self.ip_dict[name]["phys_addr"], self.ip_dict[name]["addr_range"]
            if base <= address < base + size:
                return block, address - base
        raise RuntimeError(f"bus error: nothing answers at {address:#x}")


def _bytes_at(pointer: int, size: int) -> np.ndarray:
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(pointer))
