"""Intervals of every stream and accumulator, and widths from them."""

from __future__ import annotations

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

from flow.custom_op import set_attributes
from flow.graph import hardware_nodes
from flow.nodes import Interval, NodeError

from .rewrite import refuse, write_notes

INTERVALS = "flow_intervals"  # metadata: tensor -> [least, largest, least of its type, largest of its type]


def intervals(model: ModelWrapper) -> dict[str, Interval]:
    """Return the least and the largest integer [C] of the channels of every stream of a hardware graph.

    By interval arithmetic from the pixels on.

    Raises:
        PassError: a stream could carry a value that its type does not hold: a pass that made it is wrong.
    """
    found: dict[str, Interval] = {}
    for node in hardware_nodes(model):
        for name, stream in node.input_streams().items():
            if name not in found:  # the pixels
                found[name] = tuple(np.full(stream.channels, end) for end in stream.range)
        results = node.op.bounds(_inputs(node, found), node.constants)
        for (name, stream), (low, high) in zip(node.output_streams().items(), results, strict=True):
            least, largest = stream.range
            if low.min() < least or high.max() > largest:
                raise refuse(node.proto, f"its output reaches {low.min()}..{high.max()}, but is {least}..{largest}")
            found[name] = low, high
    return found


def _inputs(node, found: dict[str, Interval]) -> list[Interval]:
    """Return the intervals of the channels of a node's inputs, of which one may be a map that is read as one pixel."""
    streams = node.input_streams()
    return [tuple(np.tile(side, streams[name].channels // len(side)) for side in found[name]) for name in node.inputs]


class SetWidths(Transformation):
    """Nodes get the widths that follow from intervals; the intervals are noted in the metadata, for the report.

    Raises:
        PassError: an accumulator needs more bits than the hardware has, or a stream could leave its type.
    """

    def apply(self, model):
        found, notes = intervals(model), {}
        for node in hardware_nodes(model):
            for name, stream in node.output_streams().items():
                low, high = found[name]
                notes[name] = [int(low.min()), int(high.max()), *stream.range]
            try:
                fitted = node.op.fitted(_inputs(node, found), node.constants)
            except NodeError as error:
                raise refuse(node.proto, str(error)) from error
            set_attributes(node.proto, **fitted)
        write_notes(model, INTERVALS, notes)
        return model, False
