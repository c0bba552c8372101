"""Operations a frame, counted from the nodes of a hardware graph, and those of its popcount baseline."""

from __future__ import annotations

from collections.abc import Iterable

from qonnx.core.modelwrapper import ModelWrapper

from flow.graph import hardware_nodes
from flow.nodes import HardwareOp

KINDS = ("binary_mac", "add_subtract", "int8_mac", "int16_mac", "popcount_mul", "stem_rescale")


def operations(model: ModelWrapper) -> dict[str, int]:
    """Return the operations a frame by kind; ``stem_rescale`` are those of the first convolution's outputs."""
    return _counted(node.op for node in hardware_nodes(model))


def baseline_operations(model: ModelWrapper) -> dict[str, int]:
    """Return the operations of the network's popcount baseline (strategy ``none``).

    In it every popcount whose vote chooses between two constants is multiplied and shifted instead, and no input is
    left out. ``model`` is the integer graph, before planning.
    """
    nodes = list(hardware_nodes(model))
    writers = {name: node for node in nodes for name in node.outputs}
    chosen = {name for node in nodes if node.kind == "VoteSelect" for name in node.inputs}
    baseline = []
    for node in nodes:
        if not chosen & set(node.outputs):
            baseline.append(node.op)
            continue
        source = writers[writers[node.inputs[0]].inputs[0]]  # the node before its window
        ratio = source.op.ratio if source.kind == "Sample" else 1
        baseline.append(node.op.variant(activation="popcount_scale", channels=node.op.channels * ratio))
    return _counted(baseline)


def _counted(ops: Iterable[HardwareOp]) -> dict[str, int]:
    counts = dict.fromkeys(KINDS, 0)
    for op in ops:
        for kind, count in op.operations().items():
            if kind in counts:
                counts[kind] += count
            elif kind == "rescale" and not counts["stem_rescale"]:
                counts["stem_rescale"] = count
    return counts
