"""Compares two stages of a build, tensor by tensor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow.errors import FlowError
from flow.golden import Golden
from flow.graph import hardware_nodes
from flow.images import images_of
from flow.sim.compare import Difference, first_difference
from flow.workspace import Workspace

Streams = dict[str, np.ndarray]


def _golden(graph: str) -> Callable[[Workspace, np.ndarray], Streams]:
    def run(workspace: Workspace, images: np.ndarray) -> Streams:
        streams: Streams = {}
        Golden(workspace.load_graph(graph)).execute(images, streams)
        return streams

    return run


def _csim(workspace: Workspace, images: np.ndarray) -> Streams:
    from flow.sim.csim import CsimAccelerator

    return CsimAccelerator(workspace.hls, verify=False).execute(images, record=True).streams


def _rtl(workspace: Workspace, images: np.ndarray) -> Streams:
    from flow.sim.rtl import RtlAccelerator

    return RtlAccelerator(workspace.rtl, verify=False).execute(images, record=True).streams


STAGES = {"integer": _golden("integer"), "hardware": _golden("hardware"), "csim": _csim, "rtl": _rtl}


@dataclass(frozen=True)
class StageComparison:
    """Every tensor that both stages have, in topological order, and the node that writes it."""

    tensors: list[Difference]
    writers: dict[str, str]


def compare_stages(folder: Path, reference: str, stage: str, images: int) -> StageComparison:
    """Run ``reference`` and ``stage``, of STAGES, on packaged images; return how their tensors differ.

    A network that takes images of another size gets random ones.

    Raises:
        FlowError: there is no build, or the stages have no tensor in common.
    """
    if not (folder / "graphs").is_dir():
        raise FlowError(
            f"{folder} is no build folder: give one that flow build made, such as build/bireal18-qat-pynq-z2"
        )
    workspace = Workspace(folder)
    hardware = workspace.load_graph("hardware")
    pixels = images_of(tuple(hardware.get_tensor_shape(hardware.graph.input[0].name)[1:]), images)
    expected, actual = (STAGES[name](workspace, pixels) for name in (reference, stage))
    writers = {tensor: node.name for node in hardware_nodes(hardware) for tensor in node.outputs}
    common = [tensor for tensor in writers if tensor in expected and tensor in actual]
    if not common:
        raise FlowError(f"{reference} and {stage} have no tensor in common")
    tensors = []
    for tensor in common:
        difference = first_difference(expected, actual, [tensor])
        tensors.append(difference or Difference(tensor, actual[tensor].size, 0, (0, 0, 0, 0), 0, 0))
    return StageComparison(tensors, writers)
