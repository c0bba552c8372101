"""The registers of the accelerator, as software sees them over AXI-Lite: the one map that emitter, hand-off, simulator
and driver read. rtl/control.sv implements it; a test reads its header against this file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .errors import DeviceError

OFFSETS = {  # bytes
    "CTRL": 0x00,
    "STATUS": 0x04,
    "FRAMES_IN": 0x08,
    "FRAMES_OUT": 0x0C,
    "CYCLES_LOW": 0x10,
    "CYCLES_HIGH": 0x14,
    "INTERVAL": 0x18,
    "LATENCY": 0x1C,
    "FRAMES_PER_PACKET": 0x20,
    "LAYERS": 0x24,
    "CLOCK_KHZ": 0x28,
    "BUILD_ID": 0x30,
    "WEIGHT_BASE": 0x40,
    "LAYER": 0x80,
}
WRITABLE = ("CTRL", "FRAMES_PER_PACKET", "WEIGHT_BASE")

# bits of CTRL
ENABLE, SOFT_RESET, CLEAR = 1 << 0, 1 << 1, 1 << 2
# bits of STATUS
IDLE, AXI_ERROR = 1 << 0, 1 << 1

WORD = 4  # bytes of a register
BUILD_ID_WORDS = 4  # low word first
MAX_REGIONS = 8  # addresses in WEIGHT_BASE
MAX_LAYERS = 64  # groups of counters in LAYER
LAYER_COUNTERS = ("frames", "busy", "stall", "starve")
LAYER_BYTES = WORD * len(LAYER_COUNTERS)

CLEAR_READS = 1_000  # of CTRL; counters are clear after two cycles a layer, and a read takes more than one


@dataclass(frozen=True)
class LayerCounters:
    """Cycles of a layer since the counters were cleared: a beat left it, waited for its consumer, or was waited for."""

    frames: int
    busy: int
    stall: int
    starve: int


class Registers:
    """The registers of one accelerator, by name.

    Args:
        read: returns the 32-bit register at a byte address.
        write: writes one.
        offsets: byte addresses by name, of the accelerator's manifest or settings.
    """

    def __init__(self, read: Callable[[int], int], write: Callable[[int, int], None], offsets: dict[str, int]):
        self._read, self._write, self._offsets = read, write, offsets

    def read(self, name: str) -> int:
        """Return a register."""
        return self._read(self._offsets[name])

    def write(self, name: str, value: int) -> None:
        """Write a register."""
        self._write(self._offsets[name], value)

    def build_id(self) -> int:
        """Return the 128-bit id of the build."""
        base = self._offsets["BUILD_ID"]
        return sum(self._read(base + WORD * index) << 32 * index for index in range(BUILD_ID_WORDS))

    def set_weight_base(self, region: int, address: int) -> None:
        """Write the address at which the weights of a region lie."""
        self._write(self._offsets["WEIGHT_BASE"] + WORD * region, address)

    def counter(self, layer: int, name: str) -> int:
        """Return one of a layer's LAYER_COUNTERS."""
        return self._read(self._offsets["LAYER"] + LAYER_BYTES * layer + WORD * LAYER_COUNTERS.index(name))

    def layer(self, layer: int) -> LayerCounters:
        """Return all counters of a layer."""
        return LayerCounters(*(self.counter(layer, name) for name in LAYER_COUNTERS))

    def clear(self) -> None:
        """Enable the core and clear its counters.

        Raises:
            DeviceError: they are not clear after CLEAR_READS reads.
        """
        self.write("CTRL", ENABLE | CLEAR)
        for _ in range(CLEAR_READS):
            control = self.read("CTRL")
            if not control & CLEAR:
                return
        raise DeviceError(
            f"the counters were not cleared: CTRL is {control:#x} after {CLEAR_READS} reads; load the bitfile again"
        )


def names(regions: int, layers: int) -> dict[str, int]:
    """Return the byte offset of every 32-bit register of an accelerator with so many weight regions and layers.

    Names of registers in arrays are numbered.
    """
    arrays = {
        "BUILD_ID": [str(word) for word in range(BUILD_ID_WORDS)],
        "WEIGHT_BASE": [str(index) for index in range(regions)],
        "LAYER": [f"{index}_{counter.upper()}" for index in range(layers) for counter in LAYER_COUNTERS],
    }
    found = {}
    for name, offset in OFFSETS.items():
        numbered = [f"{name}_{suffix}" for suffix in arrays[name]] if name in arrays else [name]
        found |= {full: offset + WORD * index for index, full in enumerate(numbered)}
    return found
