"""A node by itself as a part to synthesise: what cost models are fitted to."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from flow.emit.rtl import write_hex
from flow.library import modules
from flow.nodes import HardwareOp

from .parts import MEMORY_SUFFIX, Part, sources_of


def part_of(op: HardwareOp, *constants: np.ndarray) -> Part:
    """Return the part that synthesis makes of ``op`` with its constants: its module between free streams."""
    cell = op.rtl(*(np.asarray(constant, np.int64) for constant in constants))
    streams = [
        (name, stream.beat_bits + cell.extend * stream.parallel, "input", "output")
        for name, stream in zip(op.input_ports, op.inputs(), strict=True)
    ]
    if op.ddr_words:
        streams.append(("weight", op.ddr_word_bits, "input", "output"))
    streams += [
        (name, stream.beat_bits, "output", "input") for name, stream in zip(op.output_ports, op.outputs(), strict=True)
    ]
    ports = [("input", "clk_i", 1), ("input", "rst_ni", 1)]
    for name, bits, way, back in streams:
        suffixes = {"input": "i", "output": "o"}
        ports += [(way, f"{name}_data_{suffixes[way]}", bits), (way, f"{name}_valid_{suffixes[way]}", 1)]
        ports.append((back, f"{name}_ready_{suffixes[back]}", 1))
    parameters = {
        name: f'"{value}"' if isinstance(value, str) else str(value) for name, value in cell.parameters.items()
    }
    memories = []
    with tempfile.TemporaryDirectory() as folder:
        for index, memory in enumerate(cell.memories):
            path = Path(folder, f"memory{index}{MEMORY_SUFFIX}")
            write_hex(path, memory.words, memory.width)
            memories.append((path.name, path.read_bytes()))
            parameters[memory.parameter] = f'"{path.name}"'
    sources = {path.name: path.read_text(encoding="utf-8") for path in modules().values()}
    return Part(
        cell.module,
        tuple(sorted(parameters.items())),
        tuple(ports),
        tuple(sources_of({cell.module}, sources).items()),
        tuple(memories),
    )
