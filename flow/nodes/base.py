"""What every hardware node has: integer semantics, stream shapes, cycles, cost, and what it is in RTL and in HLS."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from .cells import Call, Cell
from .cost import Cost
from .errors import NodeError
from .stream import Interval, Stream, divisors

STAGES = 2.0  # cycles through a node that waits for nothing


@dataclass(kw_only=True)
class HardwareOp:
    """Base of the hardware nodes: one class, one file, all its facts.

    Tensors are feature maps [N, H, W, C] of integers; bipolar ones hold -1 and +1. ``height``, ``width`` and
    ``channels`` are those of the node's input stream. A subclass is a dataclass whose fields are the attributes of the
    ONNX node; it states its integer arithmetic in ``evaluate``, and the rest follows from its fields.

    A new node is a Python file with one such class, its module ``<stem>.sv`` and its header ``<stem>.hpp``; for those
    in this folder they are in rtl/ and hls/. Nothing else names it.
    """

    height: int
    width: int
    channels: int
    bits: int = 8
    p: int = 1
    name: str = ""

    folding: ClassVar[tuple[str, ...]] = ("p",)
    """What the plan chooses of it: elements a beat, or, of an engine, pe, simd and memory."""
    planned: ClassVar[tuple[str, ...]] = ("p", "pe", "simd", "memory")
    """Attributes that say how it computes, and have no part in what it computes."""
    input_ports: ClassVar[tuple[str, ...]] = ("in",)
    output_ports: ClassVar[tuple[str, ...]] = ("out",)
    plumbing: ClassVar[bool] = False
    """Its output is its input."""
    forks: ClassVar[bool] = False
    """Its outputs are read at different times and meet again at a join."""
    joins: ClassVar[bool] = False
    """Takes streams of which one may be later than the other, so that a FIFO must hold the earlier one."""
    takes_windows: ClassVar[bool] = False
    """Its quick form takes windows that are not laid out yet."""
    streamable: ClassVar[bool] = False
    """An engine whose weights may come from DDR."""

    # what a subclass states

    def evaluate(self, *inputs: np.ndarray):
        """Return the outputs (one array, or a tuple) from integer inputs in the order of the node's inputs."""
        raise NotImplementedError

    def quick(self, *constants: np.ndarray) -> Callable:
        """Return a function of the streams that equals ``evaluate`` with these constants, made for many calls.

        It may take and give `Windows`, which are laid out only where a node needs their elements.
        """
        return lambda *streams: self.evaluate(*streams, *constants)

    def rtl(self, *constants: np.ndarray) -> Cell:
        """Return its module instance.

        Raises:
            NodeError: the module does not do what the attributes ask for.
        """
        raise NodeError(f"no RTL module for {self.kind}")

    def hls(self, *constants: np.ndarray) -> Call:
        """Return the call of its header's function.

        Raises:
            NodeError: the header does not do what the attributes ask for.
        """
        raise NodeError(f"no HLS header for {self.kind}")

    def cost(self) -> Cost:
        """Return its estimated resources."""
        raise NotImplementedError

    def path_ns(self) -> float:
        """Return a bound of the longest path between its registers, in ns, on a 7-series part of speed grade -1.

        benchmarks/cost_points.py holds it against netlists of many sizes, at the one delay of a route of flow.synth.
        """
        return 8.6

    # what most nodes have in common

    def inputs(self) -> list[Stream]:
        """Return the stream inputs, in order (parameters excluded)."""
        return [Stream(self.height, self.width, self.channels, self.p, self.bits)]

    def outputs(self) -> list[Stream]:
        """Return the outputs, in order."""
        return self.inputs()

    def bounds(self, inputs: list[Interval], constants: tuple[np.ndarray, ...]) -> list[Interval]:
        """Return the interval of every output for those of the stream inputs.

        This default is for nodes whose outputs rise with every input: their extremes come from the inputs' extremes.
        """
        corners = []
        for side in (0, 1):
            maps = [
                np.broadcast_to(interval[side], (1, s.height, s.width, s.channels))
                for interval, s in zip(inputs, self.inputs())
            ]
            results = self.evaluate(*maps, *constants)
            corners.append(results if isinstance(results, tuple) else (results,))
        return [(low.min(axis=(0, 1, 2)), high.max(axis=(0, 1, 2))) for low, high in zip(*corners)]

    def fitted(self, inputs: list[Interval], constants: tuple[np.ndarray, ...]) -> dict[str, int]:
        """Return attributes that follow from the intervals of the inputs: widths of accumulators.

        Raises:
            NodeError: they need more bits than the hardware has.
        """
        return {}

    def foldings(self) -> list[int]:
        """Return the ``p`` that the node may have, ascending."""
        return divisors(self.channels)

    def cycles(self) -> int:
        """Return the cycles a frame when nothing stalls."""
        return max(stream.beats for stream in (*self.inputs(), *self.outputs()))

    def lag(self) -> float:
        """Return how much of a frame it takes in before it gives its first beat, in frames."""
        return 0.0

    def taken(self) -> np.ndarray:
        """Return how many beats of a frame it must have taken of each input before each beat of each output: int
        [output beats], rising.

        This default is for nodes that take and give evenly.
        """
        entering, leaving = self.inputs()[0].beats, self.outputs()[0].beats
        return -(-np.arange(1, leaving + 1) * entering // leaving)

    def timing(self, first: float, last: float) -> tuple[float, float]:
        """Return the cycles at which its first and last beats of a frame leave, if those of its inputs come at
        ``first`` and ``last`` and nothing stalls it."""
        start = first + self.lag() * (last - first) + STAGES
        return start, max(last + STAGES, start + self.cycles())

    def burst(self) -> int:
        """Return the elements that it gives in one burst after a pause, and which the FIFO after it should hold."""
        return 0

    def works_ahead(self) -> int:
        """Return the elements that the FIFO after it should hold for it to go on while its reader is busy with the last
        ones."""
        return 0

    def holds(self) -> int:
        """Return the beats that it can store without computing anything: the depth of a FIFO, 0 of any other node."""
        return 0

    def operations(self) -> dict[str, int]:
        """Return the operations a frame, by kind; only kinds that the report counts."""
        return {}

    @property
    def is_wire(self) -> bool:
        """Whether it is nothing but a stream (and its depth) in HLS."""
        return False

    @property
    def ddr_words(self) -> int:
        """64-bit words that it reads from DDR a frame."""
        return 0

    @property
    def ddr_word_bits(self) -> int:
        """Bits of the words that these are cut into on the chip."""
        return 0

    def weight_words(self, *constants: np.ndarray) -> list[int]:
        """Return the words of ``ddr_word_bits`` bits that it takes a frame, in order."""
        return []

    def ddr_weights(self, *constants: np.ndarray) -> bytes:
        """Return the weights that it reads from DDR a frame, ``ddr_words`` words of 8 bytes."""
        return b""

    # what follows

    @property
    def kind(self) -> str:
        """Its name in a graph."""
        return type(self).__name__

    @property
    def engine(self) -> bool:
        """Whether it computes sums, pe outputs of simd inputs at a time: a layer that has counters in the
        accelerator."""
        return hasattr(self, "pe")

    @property
    def pixels(self) -> int:
        """Pixels of the input map."""
        return self.height * self.width

    @classmethod
    def stem(cls) -> str:
        """Return the stem of the node's files: <stem>.py, <stem>.hpp, <stem>.sv."""
        return cls.source().stem

    @classmethod
    def source(cls) -> Path:
        """Return the node's Python file, beside which its module and header are looked for first."""
        return Path(inspect.getfile(cls))

    @classmethod
    def attributes(cls) -> dict[str, type]:
        """Return the names and types (int, str, or tuple of integers) of the attributes of its ONNX node."""
        types = {"int": int, "str": str, int: int, str: str}
        return {f.name: types.get(f.type, tuple) for f in fields(cls) if f.name != "name"}

    def values(self) -> dict[str, int | str | tuple[int, ...]]:
        """Return its attributes."""
        return {name: getattr(self, name) for name in self.attributes()}

    def variant(self, **changes) -> HardwareOp:
        """Return a copy with other attributes."""
        return replace(self, **changes)

    def shape_parameters(self) -> dict[str, int]:
        """Return the parameters that RTL modules and HLS headers of maps begin with."""
        return {"Height": self.height, "Width": self.width, "Channels": self.channels, "P": self.p, "Bits": self.bits}
