"""One harness for every node: numpy, RTL and HLS on the same data, from one list of cases.

The test file of a node states its cases and a plain reference of its arithmetic in a class that derives from
`NodeTests`, which has the tests that every node must pass; what only this node has stands in the file beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow import nodes
from flow.custom_op import node_of
from flow.emit.core import call_of, cell_of
from flow.emit.rtl import write_hex
from flow.graph import Node
from flow.library import modules
from flow.nodes import HardwareOp, Stream
from flow.nodes.windows import as_map
from flow.sim.module import RtlModule, RtlRun
from flow.sim.streams import to_beats
from tests.hls.harness import Instance, called
from tests.rtl.streams import RATES, random_signed

SLOW = "slow"


def hardware_op(kind: str | type[HardwareOp], **attributes) -> HardwareOp:
    """Return the node ``kind`` by itself, on a map of one pixel and one channel unless ``attributes`` say otherwise."""
    kind = nodes.find(kind) if isinstance(kind, str) else kind
    return kind(name="node", **{"height": 1, "width": 1, "channels": 1, **attributes})


def hardware_node(op: HardwareOp, *constants) -> Node:
    """Return ``op`` as a node of a graph, its streams named by its ports."""
    proto = node_of(op, list(op.input_ports), list(op.output_ports))
    return Node(proto, op, op.input_ports, op.output_ports, tuple(np.asarray(c, np.int64) for c in constants))


def random_signs(seed: int, *shape: int) -> np.ndarray:
    """Return -1 and +1 at random."""
    return np.random.default_rng(seed).choice([-1, 1], shape)


def draw_stream(stream: Stream, rng: np.random.Generator, frames: int) -> np.ndarray:
    """Return integers [frames, H, W, C] anywhere in the stream's range, its ends more often.

    Of three frames or more the first holds the least value everywhere and the second the largest. A third of the beats
    of a masked stream is 0.
    """
    shape = (frames, stream.height, stream.width, stream.channels)
    low, high = stream.range
    if stream.bits == 1:
        values = rng.choice([-1, 1], shape)
    elif stream.signed:
        values = random_signed(shape, stream.bits, int(rng.integers(1 << 32)))
    else:
        values = rng.integers(low, high + 1, shape)
    if frames >= 3:
        values[0], values[1] = low, high
    if stream.masked:
        beats = values.reshape(frames, -1, stream.parallel)
        outside = rng.integers(0, 3, beats.shape[:2]) == 0
        outside[:, 0], outside[:, -1] = False, True
        values = (beats * ~outside[..., None]).reshape(shape)
    return values


def beats_of(values: np.ndarray, stream: Stream, extend: int = 0) -> list[int]:
    """Return the beats of [N, H, W, C], every element sign-extended by ``extend`` bits."""
    return to_beats(
        values, stream.parallel, stream.bits + extend, bipolar=stream.bipolar and not extend, masked=stream.masked
    )


def no_constants(op: HardwareOp, rng: np.random.Generator) -> tuple:
    """Return nothing: most nodes have no constants."""
    return ()


@dataclass(eq=False)
class Case:
    """A node with the data that it is tested on.

    Args:
        kind: the node's name, or its class.
        attributes: its attributes; one pixel and one channel unless they say otherwise.
        draw: of the node and a generator to its constants.
        feed: of the node, a generator, the number of frames and the constants to its stream inputs, a tuple of arrays
            [frames, H, W, C]; `draw_stream` of each unless given.
        frames: how many.
        rtl: is it built in RTL? SLOW: only in slow runs, as each costs a build of its own.
        hls: is it compiled in HLS?
        label: its name in a report; its attributes unless given.
    """

    kind: str | type[HardwareOp]
    attributes: dict
    draw: Callable[[HardwareOp, np.random.Generator], tuple] = no_constants
    feed: Callable[[HardwareOp, np.random.Generator, int, tuple], tuple] | None = None
    frames: int = 4
    rtl: bool | str = True
    hls: bool = True
    label: str = ""

    def __str__(self) -> str:
        size = "x".join(str(self.attributes.get(name, 1)) for name in ("height", "width", "channels"))
        others = {name: value for name, value in self.attributes.items() if name not in ("height", "width", "channels")}
        return self.label or "-".join([size, *(f"{name}_{value}" for name, value in others.items())])

    @property
    def identifier(self) -> str:
        """Its name as a C++ identifier."""
        return "case_" + re.sub(r"\W", "_", str(self).replace("-", "minus"), flags=re.ASCII)

    def rng(self, purpose: int) -> np.random.Generator:
        """Return a generator of the case's own; another one for every purpose."""
        return np.random.default_rng([purpose, *str(self).encode()])

    @cached_property
    def op(self) -> HardwareOp:
        return hardware_op(self.kind, **self.attributes)

    @cached_property
    def constants(self) -> tuple[np.ndarray, ...]:
        return tuple(np.asarray(value, np.int64) for value in self.draw(self.op, self.rng(0)))

    @cached_property
    def streams(self) -> tuple[np.ndarray, ...]:
        if self.feed:
            return tuple(self.feed(self.op, self.rng(1), self.frames, self.constants))
        rng = self.rng(1)
        return tuple(draw_stream(stream, rng, self.frames) for stream in self.op.inputs())

    @cached_property
    def outputs(self) -> tuple[np.ndarray, ...]:
        results = self.op.evaluate(*self.streams, *self.constants)
        return results if isinstance(results, tuple) else (results,)

    @property
    def node(self) -> Node:
        return hardware_node(self.op, *self.constants)

    def instance(self) -> Instance:
        """Return the call that the HLS emitter makes of it, on its data."""
        op, call = self.op, call_of(self.node)
        tables = {
            table.suffix: (table.ctype, table.values.astype(table.ctype.removesuffix("_t"))) for table in call.tables
        }
        processes = call.all_processes(op.input_ports, op.output_ports)
        memories = [f"static ap_uint<{a.bits}> {a.name}[{a.words}]" for a in (*call.arrays, *call.shared)]
        links = [
            f'hls::stream<ap_uint<{link.bits}>> {link.name}("{self.identifier}.{link.name}")' for link in call.links
        ]
        if op.ddr_words:
            tables["ddr"] = ("ap_uint<64>", np.frombuffer(op.ddr_weights(*self.constants), "<u8"))
        return Instance(
            self.identifier,
            "",
            inputs={
                port: (beats_of(values, stream), stream.beat_bits)
                for port, values, stream in zip(op.input_ports, self.streams, op.inputs(), strict=True)
            },
            outputs={port: stream.beat_bits for port, stream in zip(op.output_ports, op.outputs(), strict=True)},
            tables=tables,
            arguments=(),
            frames=self.frames,
            calls=tuple(f"{called(p.function, *p.parameters.values())}({', '.join(p.arguments)})" for p in processes),
            declared=(*memories, *links),
        )

    def output_beats(self) -> dict[str, list[int]]:
        """Return what its outputs must give, by port."""
        streams = zip(self.op.output_ports, self.outputs, self.op.outputs(), strict=True)
        return {port: beats_of(values, stream) for port, values, stream in streams}


def headers_of(cases: list[Case]) -> list[str]:
    """Return the headers that the calls of ``cases`` need."""
    return sorted({header.removesuffix(".hpp") for case in cases for header in call_of(case.node).headers})


class Rtl:
    """The module of a case, verilated, with its memories in ``folder``.

    Where weights come from DDR every frame has others, as the module may keep none.
    """

    def __init__(self, case: Case, folder: Path):
        self.case, op = case, case.op
        self.cell = cell_of(case.node)
        inputs = {
            port: stream.beat_bits + self.cell.extend * stream.parallel
            for port, stream in zip(op.input_ports, op.inputs(), strict=True)
        }
        if op.ddr_words:
            inputs["weight"] = op.ddr_word_bits
        outputs = {port: stream.beat_bits for port, stream in zip(op.output_ports, op.outputs(), strict=True)}
        self.module = self.build(folder, inputs, outputs)

    def build(self, folder: Path, inputs: dict[str, int], outputs: dict[str, int]) -> RtlModule:
        """Return the module with its memories in ``folder``; ``inputs`` and ``outputs`` are its streams."""
        parameters = dict(self.cell.parameters)
        for memory in self.cell.memories:
            parameters[memory.parameter] = f"{memory.suffix}.hex"
            write_hex(folder / parameters[memory.parameter], memory.words, memory.width)
        sources = [modules()[self.cell.module]]
        return RtlModule(self.cell.module, parameters, inputs, outputs, sources=sources, workdir=folder)

    @cached_property
    def traffic(self) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
        """Return the beats of every input and of every output, by port."""
        case, op = self.case, self.case.op
        taken = {
            port: beats_of(values, stream, self.cell.extend)
            for port, values, stream in zip(op.input_ports, case.streams, op.inputs(), strict=True)
        }
        if not op.ddr_words:
            return taken, case.output_beats()
        first, *others = case.constants
        weights = [first, *(case.draw(op, case.rng(1 + frame))[0] for frame in range(1, case.frames))]
        taken["weight"] = [word for frame in weights for word in op.weight_words(frame)]
        (x,), (made,) = case.streams, op.outputs()
        results = [op.evaluate(x[frame : frame + 1], weights[frame], *others) for frame in range(case.frames)]
        return taken, {op.output_ports[0]: beats_of(np.concatenate(results), made)}

    def check(self, frames: int | None = None, **options) -> RtlRun:
        """Run the module on the first ``frames`` of its data, all unless given, and compare every beat."""
        taken, given_ = self.traffic
        share = (frames or self.case.frames) / self.case.frames
        taken, given_ = (
            {port: beats[: round(len(beats) * share)] for port, beats in side.items()} for side in (taken, given_)
        )
        run = self.module.run(taken, {port: len(beats) for port, beats in given_.items()}, **options)
        assert run.outputs == given_
        return run


class NodeTests:
    """What every node must pass. A test file derives ``Test<Node>`` from it."""

    cases: ClassVar[list[Case]] = []
    latency: ClassVar[int] = 0
    """Cycles from a beat in to the same beat out."""
    resets: ClassVar[tuple[float, ...]] = (0.1, 0.6, 0.99)
    """When the module is reset, in frames."""
    tail: ClassVar[int] = 50
    """Cycles after the last output in which the last inputs are taken."""
    reached: ClassVar[bool] = True
    """Do the cases reach the bounds of their outputs?"""

    @staticmethod
    def reference(op: HardwareOp, streams: tuple, constants: tuple) -> np.ndarray:
        """Return the output by other means than the node's, or a tuple of outputs."""
        raise NotImplementedError

    # numpy

    def test_equals_its_reference(self, case):
        self.check_reference(case)

    def test_quick_equals_evaluate(self, case):
        self.check_quick(case)

    def test_streams(self, case):
        self.check_streams(case)

    def test_bounds(self, case):
        self.check_bounds(case, self.reached)

    def check_reference(self, case):
        expected = self.reference(case.op, case.streams, case.constants)
        expected = expected if isinstance(expected, tuple) else (expected,)
        assert len(expected) == len(case.outputs)
        for result, values in zip(case.outputs, expected):
            np.testing.assert_array_equal(result, values)

    def check_quick(self, case):
        results = case.op.quick(*case.constants)(*case.streams)
        results = results if isinstance(results, tuple) else (results,)
        for result, values in zip(results, case.outputs, strict=True):
            np.testing.assert_array_equal(as_map(result), values)

    def check_streams(self, case):
        """Shapes, ranges and numbers of beats are what the node says; it is made again from its attributes."""
        op = case.op
        for arrays, streams in ((case.streams, op.inputs()), (case.outputs, op.outputs())):
            for values, stream in zip(arrays, streams, strict=True):
                assert values.shape == (case.frames, stream.height, stream.width, stream.channels)
                low, high = stream.range
                assert low <= values.min() and values.max() <= high
                assert len(beats_of(values, stream)) == case.frames * stream.beats
                assert op.cycles() >= stream.beats
        assert type(op)(name=op.name, **op.values()) == op
        assert all(value >= 0 for value in op.cost().as_dict().values())
        start, end = op.timing(0.0, float(op.cycles()))
        assert 0 <= op.lag() <= 2 and 0 <= start <= end and op.cycles() <= end

    def check_bounds(self, case, reached):
        """Intervals of the inputs as they are give intervals that hold every output."""
        pixels = (0, 1, 2)
        intervals = [(values.min(axis=pixels), values.max(axis=pixels)) for values in case.streams]
        for (low, high), values in zip(case.op.bounds(intervals, case.constants), case.outputs, strict=True):
            assert (low <= values.min(axis=pixels)).all() and (values.max(axis=pixels) <= high).all()
            if reached:
                np.testing.assert_array_equal(values.min(axis=pixels), np.broadcast_to(low, values.shape[3:]))
                np.testing.assert_array_equal(values.max(axis=pixels), np.broadcast_to(high, values.shape[3:]))

    # hardware

    def test_hls(self, hls_case, hls):
        assert hls[hls_case.identifier].outputs == hls_case.output_beats()

    @pytest.mark.parametrize(("p_valid", "p_ready"), RATES)
    def test_rtl(self, rtl, p_valid, p_ready):
        rtl.check(seed=2, p_valid=p_valid, p_ready=p_ready, extra_cycles=self.tail)

    def test_rtl_loses_no_cycle(self, rtl):
        self.check_rate(rtl)

    def test_rtl_after_reset_in_mid_frame(self, rtl):
        for share in self.resets:
            reset_at = 1 + int(share * rtl.case.op.cycles())
            rtl.check(seed=4, p_valid=0.8, p_ready=0.8, reset_at=reset_at, extra_cycles=self.tail)

    def check_rate(self, rtl):
        """All frames take the cycles that the node says, and the latency once."""
        assert rtl.check(extra_cycles=self.tail).cycles == rtl.case.frames * rtl.case.op.cycles() + self.latency


def any_shape(tests: type[NodeTests], cases: st.SearchStrategy[Case]) -> Callable:
    """Return a test of the node's numpy on ``cases`` of any shape."""

    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(cases)
    def test(case):
        node = tests()
        node.check_reference(case)
        node.check_quick(case)
        node.check_streams(case)
        node.check_bounds(case, reached=False)

    return test
