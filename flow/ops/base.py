"""What every hardware node has: integer semantics, stream shapes, cycles, cost, operations."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.custom_op.base import CustomOp

DOMAIN = "flow.ops"
FLOAT64_EXACT = 2**53  # float64 holds every integer below this magnitude


@dataclass(frozen=True)
class Cost:
    """Estimated resources: look-up tables, flip-flops, 36-Kbit block RAMs (halves allowed), DSP slices."""

    lut: float = 0.0
    ff: float = 0.0
    bram36: float = 0.0
    dsp: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class Stream:
    """A feature-map stream: NHWC shape without N, elements a beat, bits an element.

    ``masked``: one bit more a beat, the highest, says that all its elements are 0 (bipolar windows padded with 0).
    """

    height: int
    width: int
    channels: int
    parallel: int
    bits: int
    signed: bool = True
    masked: bool = False

    @property
    def beats(self) -> int:
        """Beats a frame."""
        return self.height * self.width * self.channels // self.parallel

    @property
    def beat_bits(self) -> int:
        return self.parallel * self.bits + self.masked

    @property
    def bipolar(self) -> bool:
        return self.bits == 1 and not self.masked


Interval = tuple[np.ndarray, np.ndarray]
"""Least and largest integer [C] of a stream's channels."""


def divisors(value: int, limit: int | None = None) -> list[int]:
    return [d for d in range(1, min(value, limit or value) + 1) if value % d == 0]


def memory_cost(depth: int, width: int, style: str) -> Cost:
    """A memory of ``depth`` words of ``width`` bits.

    "distributed": 51 bits a LUT (LUT6 as ROM or RAM, multiplexers included; Yosys estimate).
    "block": the cheapest of the RAMB36 shapes 512x72 to 32Kx1, in halves (RAMB18).
    """
    if style == "distributed":
        return Cost(lut=width * math.ceil(depth / 64) * 1.25, ff=width)
    best = math.inf
    for words, bits in ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)):
        best = min(best, math.ceil(depth / words) * math.ceil(width / bits))
    return Cost(lut=width * 0.5 * (depth > 16384), bram36=best / 2)


class HardwareOp(CustomOp):
    """Base of the hardware nodes, QONNX custom ops in the domain ``flow.ops``.

    Tensors are feature maps [N, H, W, C] of integers; bipolar ones hold -1 and +1. Attributes
    ``height``, ``width``, ``channels`` are those of the node's input stream. A subclass states its
    integer arithmetic in ``evaluate`` and the rest follows from its attributes.
    """

    attributes: dict = {}
    common = {
        "height": ("i", True, 0),
        "width": ("i", True, 0),
        "channels": ("i", True, 0),
        "bits": ("i", False, 8),
        "p": ("i", False, 1),
    }

    def get_nodeattr_types(self):
        return {**self.common, **self.attributes}

    def __getattr__(self, name):
        if name.startswith("_") or name == "onnx_node":
            raise AttributeError(name)
        if name in self.common or name in self.attributes:
            return self.get_nodeattr(name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name}")

    @property
    def name(self) -> str:
        return self.onnx_node.name

    @property
    def stem(self) -> str:
        """The node's file stem: flow/ops/<stem>.py, hls/<stem>.hpp, rtl/<stem>.sv."""
        return type(self).__module__.rsplit(".", 1)[-1]

    @property
    def pixels(self) -> int:
        return self.height * self.width

    # what a subclass states

    def evaluate(self, *inputs: np.ndarray):
        """Outputs (one array, or a tuple) from integer inputs in the order of the node's inputs."""
        raise NotImplementedError

    def bounds(self, inputs: list[Interval], constants: tuple[np.ndarray, ...]) -> list[Interval]:
        """The interval of every output for those of the stream inputs.

        A node whose outputs rise with all its inputs, which this default is for, takes its extremes at theirs.
        """
        corners = []
        for side in (0, 1):
            maps = [
                np.broadcast_to(interval[side], (1, s.height, s.width, s.channels))
                for interval, s in zip(inputs, self.inputs(), strict=True)
            ]
            results = self.evaluate(*maps, *constants)
            corners.append(results if isinstance(results, tuple) else (results,))
        return [(low.min(axis=(0, 1, 2)), high.max(axis=(0, 1, 2))) for low, high in zip(*corners)]

    def inputs(self) -> list[Stream]:
        """Stream inputs, in order (parameters excluded)."""
        return [Stream(self.height, self.width, self.channels, self.p, self.bits)]

    def outputs(self) -> list[Stream]:
        return self.inputs()

    def foldings(self) -> list[int]:
        """The ``p`` that the node may have."""
        return divisors(self.channels)

    def cycles(self) -> int:
        """Cycles a frame when nothing stalls."""
        return max(stream.beats for stream in (*self.inputs(), *self.outputs()))

    def cost(self) -> Cost:
        raise NotImplementedError

    def operations(self) -> dict[str, int]:
        """Arithmetic a frame, by kind; only what the report counts."""
        return {}

    # what qonnx asks for

    def make_shape_compatible_op(self, model):
        stream = self.outputs()[0]
        batch = (model.get_tensor_shape(self.onnx_node.input[0]) or [1])[0]
        shape = [batch, stream.height, stream.width, stream.channels]
        return helper.make_node("RandomNormal", [], [self.onnx_node.output[0]], shape=shape)

    def infer_node_datatype(self, model):
        for tensor, stream in zip(self.onnx_node.output, self.outputs()):
            model.set_tensor_datatype(tensor, stream_datatype(stream))

    def execute_node(self, context, graph):
        arrays = [context[name].astype(np.int64) for name in self.onnx_node.input]
        results = self.evaluate(*arrays)
        for name, result in zip(self.onnx_node.output, results if isinstance(results, tuple) else (results,)):
            if np.abs(result).max(initial=0) >= FLOAT64_EXACT:
                raise OverflowError(f"{self.name}: a value of 2^53 or more fits no float64; run the golden model")
            context[name] = narrow(result.astype(np.float64))

    def verify_node(self):
        return []


def stream_datatype(stream: Stream) -> DataType:
    if stream.masked:
        return DataType["TERNARY"]
    if stream.bipolar:
        return DataType["BIPOLAR"]
    return DataType[f"{'INT' if stream.signed else 'UINT'}{stream.bits}"]


def narrow(values: np.ndarray) -> np.ndarray:
    """float64 values as float32 where that loses nothing."""
    single = values.astype(np.float32)
    return single if np.array_equal(single, values) else values


def stream_range(stream: Stream) -> tuple[int, int]:
    """Least and largest integer that a stream can carry."""
    if stream.bits == 1:
        return -1, 1
    return (-(1 << (stream.bits - 1)), (1 << (stream.bits - 1)) - 1) if stream.signed else (0, (1 << stream.bits) - 1)


def signed_bits(low: int, high: int) -> int:
    """Bits of the narrowest signed integer that holds low..high."""
    return max((-int(low) - 1).bit_length() if low < 0 else 0, int(high).bit_length() if high > 0 else 0) + 1


def saturate(values: np.ndarray, bits: int) -> np.ndarray:
    """Clamps to the signed range of ``bits``."""
    return np.clip(values, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
