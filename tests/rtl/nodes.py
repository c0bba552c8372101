"""Single nodes in RTL: module and memories as the emitter gives them, beats and results as the node's definition does."""

from pathlib import Path

import numpy as np
from onnx import helper
from qonnx.custom_op.registry import getCustomOp

from flow.emit.memory_files import write_hex
from flow.emit.rtl_nodes import cell_of
from flow.graph import Node
from flow.ops import DOMAIN, Stream
from flow.sim.module import RtlModule
from flow.sim.streams import to_beats


def node_of(kind: str, *constants: np.ndarray, name: str = "layer", **attributes) -> Node:
    op = getCustomOp(helper.make_node(kind, ["in"], ["out"], name=name, domain=DOMAIN, **attributes))
    return Node(op, ("in",), ("out",), tuple(np.asarray(constant, np.int64) for constant in constants))


def beats_of(values: np.ndarray, stream: Stream) -> list[int]:
    return to_beats(values, stream.parallel, stream.bits, bipolar=stream.bipolar, masked=stream.masked)


def module_of(node: Node, folder: Path, inputs: dict[str, int] | None = None) -> RtlModule:
    """The module of ``node`` with its memories in ``folder``. ``inputs``: widths of further input streams."""
    cell = cell_of(node)
    parameters = dict(cell.parameters)
    for memory in cell.memories:
        parameters[memory.parameter] = f"{memory.suffix}.hex"
        write_hex(folder / parameters[memory.parameter], memory.words, memory.width)
    (taken,), (made,) = node.op.inputs(), node.op.outputs()
    return RtlModule(
        cell.module, parameters, {"in": taken.beat_bits, **(inputs or {})}, {"out": made.beat_bits}, workdir=folder
    )


def signs(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.choice([-1, 1], shape)
