"""Intervals of every stream and accumulator, and widths from them."""

from __future__ import annotations

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

from flow.graph import hardware_nodes
from flow.ops.base import Interval, signed_bits, stream_range

from .rewrite import refuse, write_notes

INTERVALS = "flow_intervals"  # metadata: tensor -> [least, largest, least of its type, largest of its type]
WIDEST_ACCUMULATOR = 64


def intervals(model: ModelWrapper) -> dict[str, Interval]:
    """Least and largest integer of every channel of every stream of a hardware graph, by interval arithmetic from the pixels on.

    Raises:
        PassError: a stream could carry what its type does not hold: a pass that made it is wrong.
    """
    found: dict[str, Interval] = {}
    for node in hardware_nodes(model):
        for name, stream in node.input_streams().items():
            if name not in found:  # the pixels
                found[name] = tuple(np.full(stream.channels, end) for end in stream_range(stream))
        results = node.op.bounds([found[name] for name in node.inputs], node.constants)
        for (name, stream), (low, high) in zip(node.output_streams().items(), results, strict=True):
            least, largest = stream_range(stream)
            if low.min() < least or high.max() > largest:
                raise refuse(
                    node.op.onnx_node, f"its output reaches {low.min()}..{high.max()}, but is {least}..{largest}"
                )
            found[name] = low, high
    return found


class SetWidths(Transformation):
    """Accumulators get the bits that their intervals need; the intervals are kept in the metadata, for the report.

    Raises:
        PassError: an accumulator needs more than WIDEST_ACCUMULATOR bits, or a stream could leave its type.
    """

    def apply(self, model):
        found, notes = intervals(model), {}
        for node in hardware_nodes(model):
            for name, stream in node.output_streams().items():
                low, high = found[name]
                notes[name] = [int(low.min()), int(high.max()), *stream_range(stream)]
            if node.kind == "IntConv":
                low, high = node.op.accumulator(found[node.inputs[0]], *node.constants)
                bits = max(signed_bits(low.min(), high.max()), node.op.shift + 1)
                if bits > WIDEST_ACCUMULATOR:
                    raise refuse(
                        node.op.onnx_node, f"its accumulator reaches {low.min()}..{high.max()}", "use fewer bits"
                    )
                node.op.set_nodeattr("acc_bits", bits)
        write_notes(model, INTERVALS, notes)
        return model, False
