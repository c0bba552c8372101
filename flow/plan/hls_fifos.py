"""FIFO depths of residual joins in HLS, by the beats that each process must take before each beat that it gives.

A FIFO beside a path holds what the fork has to give to that path before the join gets its next beat from it. That is
exact for processes as they are written; on top of it come the beats that pipelines withhold: where its input stalls, a
pipeline of Vitis HLS stops with what it has under way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from flow.graph import Node, hardware_node, hardware_nodes

from .fifos import DISTRIBUTED_FIFO_BITS, branch, joins_of

SHALLOW = 2  # beats of a stream without a FIFO: what Vitis HLS makes
STAGES = 8  # of a pipeline, assumed: no more are under way where it stalls


@dataclass(frozen=True)
class Depth:
    """Beats that a stream must hold: the least with which nothing hangs, and with what pipelines withhold and, beside a
    node that works on one frame while it takes the next, the frames that keep its rate."""

    least: int
    beats: int


def join_depths(model: ModelWrapper) -> dict[str, Depth]:
    """Return the depth of the stream with the FIFO beside each path of a planned graph, by the tensor that goes into
    the FIFO, or into the join where there is none."""
    depths: dict[str, Depth] = {}
    for join in joins_of(model):
        branches = [branch(model, tensor) for tensor in join.inputs]
        forks = [_fork(model, nodes, tensor) for nodes, tensor in zip(branches, join.inputs)]
        if None in forks or forks[0][0] != forks[1][0]:
            continue
        taken = [needed(nodes, join.op.inputs()[0].beats) for nodes in branches]
        side = int(np.max(taken[0] - taken[1]) > np.max(taken[1] - taken[0]))
        nodes, path, first = branches[side], branches[1 - side], forks[1 - side][1] == 0
        fifo = next((node for node in nodes if node.op.holds()), None)
        joined = np.arange(len(taken[0])) + (
            side == 0
        )  # what the join has of the side path, while it waits for the other
        frame = (fifo.op.inputs()[0] if fifo else join.op.inputs()[side]).beats
        least, held = (
            _smallest(nodes, fifo, frame, joined, needed(path, len(joined), stages) - first) for stages in (0, STAGES)
        )
        if fifo and any(node.op.ddr_words for node in path):
            held = max(held, fifo.op.holds())
        depths[fifo.inputs[0] if fifo else join.inputs[side]] = Depth(max(SHALLOW, least), max(SHALLOW, held))
    return depths


def fifo_of(model: ModelWrapper) -> dict[str, tuple[int, str]]:
    """Return the depth of every Fifo of a planned graph in HLS, and its memory, by the tensor that goes into it."""
    depths, found = join_depths(model), {}
    for node in hardware_nodes(model):
        if depth := node.op.holds():
            (tensor,) = node.inputs
            depth = depths[tensor].beats if tensor in depths else depth
            small = depth * node.op.inputs()[0].beat_bits <= DISTRIBUTED_FIFO_BITS
            found[tensor] = depth, "distributed" if small else node.op.memory
    return found


def needed(path: list[Node], beats: int, stages: int = 0) -> np.ndarray:
    """Return the beats that the fork has to give before each of ``beats`` beats comes out of ``path``, its last node
    first; each of its pipelines withholds what is in its last ``stages`` stages."""
    count = np.arange(1, beats + 1)
    for node in path:
        given = node.op.outputs()[0].beats
        withheld = math.ceil(stages * given / node.op.cycles()) if stages and not node.op.is_wire else 0
        count = node.op.taken()[np.minimum(count + withheld, given) - 1]
    return count


def _smallest(nodes: list[Node], fifo: Node | None, frame: int, joined: np.ndarray, forked: np.ndarray) -> int:
    """Return the smallest depth of ``fifo``, or of the stream into the join, with which the side path ``nodes`` takes
    ``forked`` beats of the fork while the join has ``joined`` of its own; at most the ``frame`` of that stream."""
    low, high = 0, frame
    while low < high:
        middle = (low + high) // 2
        if (_accepted(nodes, fifo, middle, joined) >= forked).all():
            high = middle
        else:
            low = middle + 1
    return low


def _accepted(nodes: list[Node], fifo: Node | None, depth: int, joined: np.ndarray) -> np.ndarray:
    """Return the beats that a path takes of its fork while the join has ``joined`` of it.

    Each process goes on until the stream behind it is full, with the beat in hand that it cannot write.
    """
    count, room = joined, 0 if fifo else depth
    for node in nodes:
        if node.op.holds():
            room += depth if node is fifo else node.op.holds()
        elif not node.op.is_wire:
            taken = node.op.taken()
            count = count + (room or SHALLOW)
            count = np.where(count < len(taken), taken[np.minimum(count, len(taken) - 1)], node.op.inputs()[0].beats)
            room = 0
    return count + (room or SHALLOW)


def _fork(model: ModelWrapper, nodes: list[Node], tensor: str) -> tuple[str, int] | None:
    """Return the fork at which a path begins, and the number of the output that it leaves from."""
    start = nodes[-1].inputs[0] if nodes else tensor
    proto = model.find_producer(start)
    if proto is None:
        return None
    node = hardware_node(model, proto)
    return (node.name, node.outputs.index(start)) if node.op.forks else None
