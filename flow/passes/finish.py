"""The last passes: remove dead nodes, name the rest, and refuse a graph that is not all integers."""

from __future__ import annotations

from qonnx.transformation.base import Transformation

from flow.custom_op import BOUNDARIES
from flow.graph import consumers, is_hardware
from flow.pointwise import written_kind

from .grid import TRANSPARENT
from .rewrite import REFUSALS, PassError, read_notes

NOT_QUANTIZED = (
    "its input or weights are not quantized with one scale a tensor",
    "quantize both with one scale a tensor",
)
HINTS = {
    **dict.fromkeys(("Conv", "Gemm", "MatMul"), NOT_QUANTIZED),
    "Quant": ("what stands in front of it is no chain of constants from a quantized tensor", ""),
    "BipolarQuant": ("what stands in front of it is no chain of constants from a quantized tensor", ""),
    "BatchNormalization": ("it is not followed by a quantizer", "put a quantizer behind it"),
}
NO_NODE = ("no hardware node does this", "leave it out, or compute it on the host")


class RemoveDeadNodes(Transformation):
    """Remove nodes and constants that nobody reads (the quantizers of weights that were folded)."""

    def apply(self, model):
        results = {output.name for output in model.graph.output}
        for node in list(model.graph.node):
            if not any(consumers(model, name) or name in results for name in node.output):
                model.graph.node.remove(node)
                return model, True
        read = {name for node in model.graph.node for name in node.input}
        for tensor in [t for t in model.graph.initializer if t.name not in read]:
            model.graph.initializer.remove(tensor)
        return model, False


class NameStreams(Transformation):
    """Name nodes ``<Kind>_<index>`` in topological order and streams after their producer."""

    def apply(self, model):
        counts: dict[str, int] = {}
        for node in model.graph.node:
            index = counts.get(node.op_type, 0)
            counts[node.op_type] = index + 1
            node.name = f"{node.op_type}_{index}"
        renamed = {model.graph.input[0].name: "pixels"}
        for node in model.graph.node:
            for position, name in enumerate(node.output):
                renamed[name] = f"{node.name}_out{position if len(node.output) > 1 else ''}"
            constants = [name for name in node.input if model.get_initializer(name) is not None]
            for position, name in enumerate(constants):
                renamed[name] = f"{node.name}_constant{position}"
        renamed[model.graph.output[0].name] = "logits"
        for old, new in renamed.items():
            if old != new:
                model.rename_tensor(old, new)
        return model, False


class RequireIntegers(Transformation):
    """Raise PassError with every node that is no hardware node: name, type, shape, reason and way out."""

    def apply(self, model):
        left = [node for node in model.graph.node if not is_hardware(node)]
        if left:
            table = refusals(model)
            lines = [
                f"  {row['name']} ({row['type']}, {row['shape']}): {row['reason']}"
                + (f"; {row['way']}" if row["way"] else "")
                for row in table
            ]
            after = sum(
                node.op_type not in (*BOUNDARIES, *TRANSPARENT) and not is_constant(model, node) for node in left
            ) - len(table)
            lines += [f"  and {after} nodes behind these"] * (after > 0)
            raise PassError("these nodes have no integer form:\n" + "\n".join(lines))
        return model, False


def refusals(model) -> list[dict[str, str]]:
    """Return name, type, shape, reason and way out of every node to blame that is left, in topological order.

    To blame are nodes that a pass refused, and nodes that no pass knows, unless only a node before them keeps them from
    being mapped.
    """
    notes = read_notes(model, REFUSALS)
    rows, tainted = [], set()
    for node in model.graph.node:
        if is_hardware(node) or node.op_type in BOUNDARIES:
            continue
        note, suffers = notes.get(node.output[0]), bool(tainted & set(node.input))
        if note is None and not suffers and (node.op_type in TRANSPARENT or is_constant(model, node)):
            continue  # no other node is refused for it
        if note is not None or not suffers:
            rows.append(_row(model, node, notes))
        tainted |= set(node.output)
    if not rows:  # what changes shapes only is in the way of nothing else
        left = [node for node in model.graph.node if not is_hardware(node) and not is_constant(model, node)]
        blamed = [node for node in left if node.output[0] in notes]
        blamed = blamed or [node for node in left if node.op_type not in BOUNDARIES]
        rows = [_row(model, node, notes) for node in blamed]
    return rows


def _row(model, node, notes) -> dict[str, str]:
    reason, way = HINTS.get(node.op_type, NO_NODE)
    own = {"name": node.name or node.output[0], "type": written_kind(node), "reason": reason, "way": way}
    shape = "x".join(map(str, model.get_tensor_shape(node.output[0]) or ["?"]))
    return {**notes.get(node.output[0], own), "shape": shape}


def is_constant(model, node) -> bool:
    """Return whether ``node`` reads constants only, like the quantizer of a weight: its layer is listed instead."""
    for name in node.input:
        producer = model.find_producer(name) if name and model.get_initializer(name) is None else None
        if name and model.get_initializer(name) is None and (producer is None or not is_constant(model, producer)):
            return False
    return True
