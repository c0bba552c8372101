"""What the HLS project takes of a board, as far as its pragmas settle it: the memories that they bind to block RAM.

Vitis HLS binds every other memory to LUTs here. LUTs, flip-flops and DSPs are not known without it, nor are clock and
rate.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from qonnx.core.modelwrapper import ModelWrapper

from flow.graph import hardware_nodes
from flow.nodes.cost import BRAM18_SHAPES

from .hls_fifos import fifo_of
from .target import Target

MASTER_BRAM18 = 2  # of the read FIFO of an m_axi master: 8 bursts of 16 words of 64 bits and what comes with them
UNKNOWN = "LUTs, flip-flops, DSPs, clock and rate are not known without Vitis HLS: those of the plan are the RTL's"


@dataclass(frozen=True)
class Memory:
    """A memory in block RAM: the layer or tensor that it is of, what it is, and its words, bits and blocks of 18 Kbit.

    A table of which a cycle reads several words is counted as so many copies, though two ports of a block may do.
    """

    layer: str
    what: str
    words: int
    bits: int
    bram18: int


@dataclass(frozen=True)
class HlsEstimate:
    """Block RAM of the HLS accelerator with the platform's share, what the board has for it, and whether it ``fits``
    there as far as is known; the largest memories, those of a layer together."""

    bram36: float
    usable_bram36: float
    fits: bool
    layers: dict[str, float]
    unknown: str = UNKNOWN

    def as_dict(self) -> dict:
        return asdict(self)


def bram18(words: int, bits: int) -> int:
    """Return the blocks of 18 Kbit of one memory that is read and written by one port each.

    It is cut into blocks of one of the shapes 512 x 36 to 16K x 1, whichever takes fewest.
    """
    return min(math.ceil(words / depth) * math.ceil(bits / width) for depth, width in BRAM18_SHAPES)


def ping_pong_words(words: int) -> int:
    """Return the words of a memory that two processes share: both halves begin at a power of two."""
    return 2 << (words - 1).bit_length() if words > 1 else 2


def block_memories(model: ModelWrapper) -> list[Memory]:
    """Return every memory of the HLS project of a planned graph that is bound to block RAM."""
    found = []
    fifos = fifo_of(model)

    def add(layer: str, what: str, words: int, bits: int, copies: int = 1) -> None:
        found.append(Memory(layer, what, words, bits, copies * bram18(words, bits)))

    for node in hardware_nodes(model):
        if node.op.holds() and fifos[node.inputs[0]][1] == "block":
            add(node.name, "fifo", fifos[node.inputs[0]][0], node.op.inputs()[0].beat_bits)
        if node.op.is_wire:
            continue
        call = node.op.hls(*node.constants)
        for table in call.tables:
            if table.memory == "block" and table.words > 1:
                add(node.name, table.suffix, table.words, table.bits, table.ports)
        for array in call.arrays:
            if array.memory == "block":
                add(node.name, array.name, array.words, array.bits)
        for array in call.shared:
            if array.memory == "block":
                add(node.name, array.name, ping_pong_words(array.words), array.bits)
        if node.op.ddr_words:
            found.append(Memory(node.name, "m_axi", 128, 64, MASTER_BRAM18))
    return found


def hls_estimate(model: ModelWrapper, target: Target) -> HlsEstimate:
    """Return what the HLS project of a planned graph takes of ``target``."""
    layers: dict[str, float] = {}
    for memory in block_memories(model):
        layers[memory.layer] = layers.get(memory.layer, 0.0) + memory.bram18 / 2
    total = sum(layers.values()) + target.platform.bram36
    usable = target.resources.bram36 * target.usable.bram36
    largest = dict(sorted(layers.items(), key=lambda item: -item[1]))
    return HlsEstimate(total, usable, total <= usable, largest)


def why_not(estimate: HlsEstimate, target: Target) -> str | None:
    """Return why the HLS accelerator does not fit ``target``, or None."""
    if estimate.fits:
        return None
    first = ", ".join(f"{layer} {count:g}" for layer, count in list(estimate.layers.items())[:3])
    return (
        f"the HLS accelerator needs {estimate.bram36:g} BRAM36 and {target.name} has {estimate.usable_bram36:g} "
        f"usable; most take {first}: set memory: distributed there in the plan, or build without --plan"
    )
