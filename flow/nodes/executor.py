"""Runs a network of nodes on images: the golden model, and the network on a board's processor."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .base import HardwareOp
from .errors import NodeError
from .windows import as_map

BATCH = 8  # images at a time: the maps of more leave a small core's cache


class Step:
    """A node ready to run, with the names of its streams."""

    def __init__(self, op: HardwareOp, inputs: Sequence[str], outputs: Sequence[str], constants: Sequence[np.ndarray]):
        if len(inputs) != len(op.inputs()) or len(outputs) != len(op.outputs()):
            raise NodeError(f"node {op.name} of kind {op.kind} has other streams than {list(inputs)}, {list(outputs)}")
        self.op, self.inputs, self.outputs = op, tuple(inputs), tuple(outputs)
        self.function: Callable = op.quick(*constants)

    def run(self, streams: dict) -> None:
        """Read the inputs from ``streams`` and put the outputs there."""
        arguments = [streams[name] for name in self.inputs]
        if not self.op.takes_windows:
            arguments = [as_map(stream) for stream in arguments]
        results = self.function(*arguments)
        streams.update(zip(self.outputs, results if isinstance(results, tuple) else (results,)))


class Executor:
    """A network as steps in topological order, from the stream ``input`` to ``output``, in exact integers.

    Raises:
        NodeError: a step takes a stream that none before gives, or none gives the output.
    """

    def __init__(self, steps: Sequence[Step], input: str, output: str):
        self.steps, self.input, self.output = list(steps), input, output
        known, last_use = {input}, {}
        for index, step in enumerate(self.steps):
            for name in step.inputs:
                if name not in known:
                    raise NodeError(f"{step.op.name} takes {name!r}, which no node before gives")
                last_use[name] = index
            known.update(step.outputs)
        if output not in known:
            raise NodeError(f"no node gives the output {output!r}")
        last_use.pop(output, None)
        self._done = [[name for name, last in last_use.items() if last == i] for i in range(len(self.steps))]

    def execute(
        self, images: np.ndarray, streams: dict[str, np.ndarray] | None = None, batch: int = BATCH
    ) -> np.ndarray:
        """Return the outputs int32 [N, elements] of images uint8 [N, H, W, C], ``batch`` at a time on each core.

        ``streams``, if given, is filled with every stream: name -> integers [N, H, W, C] (bipolar ones as -1 and +1).
        """
        keep = streams is not None
        parts = [images[start : start + batch] for start in range(0, len(images), batch)]
        # threads, as numpy computes without the interpreter's lock
        with ThreadPoolExecutor(min(len(parts), os.cpu_count() or 1)) as pool:
            results = list(pool.map(lambda part: self._batch(part, keep), parts))
        if keep:
            streams.update({name: np.concatenate([part[name] for _, part in results]) for name in results[0][1]})
        return np.concatenate([outputs for outputs, _ in results])

    def _batch(self, images: np.ndarray, keep: bool) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        streams = self._run(images, keep)
        result = as_map(streams[self.output])
        outputs = result.reshape(len(result), -1).astype(np.int32)
        return outputs, {name: as_map(stream) for name, stream in streams.items()} if keep else {}

    def _run(self, images: np.ndarray, keep: bool) -> dict:
        streams = {self.input: images}
        for step, done in zip(self.steps, self._done):
            step.run(streams)
            if not keep:
                for name in done:
                    del streams[name]
        return streams
