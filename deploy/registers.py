"""The registers of the accelerator, as software sees them over AXI-Lite: the one map that emitter, hand-off, simulator and
driver read. rtl/control.sv implements it; a test reads its header against this file."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class LayerCounters:
    """Cycles of a layer since the counters were cleared: a beat left it, waited for its consumer, or was waited for."""

    frames: int
    busy: int
    stall: int
    starve: int


def counter_offset(layer: int, counter: str) -> int:
    """Return the offset of a layer's counter within LAYER."""
    return LAYER_BYTES * layer + WORD * LAYER_COUNTERS.index(counter)


def join_words(words: list[int]) -> int:
    """Return the number of which ``words`` are the 32-bit parts, low part first."""
    return sum(word << 32 * index for index, word in enumerate(words))


def names(regions: int, layers: int) -> dict[str, int]:
    """Return the offset of every 32-bit register by its name, those of arrays numbered, for an accelerator of so many
    weight regions and layers."""
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
