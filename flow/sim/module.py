"""Simulates one SystemVerilog module whose ports are streams, under starvation and back-pressure."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow.sim.build import Design, Port, RtlError, build_library

__all__ = ["RtlError", "RtlModule", "RtlRun"]


@dataclass(frozen=True)
class RtlRun:
    """The beats of each output of a run, and the cycles from the first after reset to the last expected beat."""

    outputs: dict[str, list[int]]
    cycles: int


class _Stream(ctypes.Structure):
    _fields_ = [("beats", ctypes.c_void_p), ("count", ctypes.c_int64), ("done", ctypes.c_int64)]


class _Run(ctypes.Structure):
    _fields_ = [
        ("seed", ctypes.c_uint64),
        ("p_valid", ctypes.c_double),
        ("p_ready", ctypes.c_double),
        ("reset_at", ctypes.c_int64),
        ("max_cycles", ctypes.c_int64),
        ("extra_cycles", ctypes.c_int64),
        ("cycles", ctypes.c_int64),
        ("error", ctypes.c_char * 2048),
    ]


class RtlModule:
    """A verilated module, built on construction or taken from the cache.

    Args:
        top: module name; its file is `rtl/<top>.sv` unless `sources` says otherwise.
        parameters: see `Design`. A file name for $readmemh is best relative, with its folder in `workdir`: then
            neither the place nor the content of the file causes a new build.
        inputs, outputs: width in bits of each stream `<name>_data_i/_valid_i/_ready_o`,
            `<name>_data_o/_valid_o/_ready_i`.
        constants: value of each further input port, by its full name.
        sources: files instead of `rtl/<top>.sv`; instantiated modules are found beside them and in `rtl/`.
        workdir: the current directory during `run`.

    Raises:
        RtlError: no Verilator or g++, a Verilator warning, or ports other than those named here.
    """

    def __init__(
        self,
        top: str,
        parameters: dict[str, int | str],
        inputs: dict[str, int],
        outputs: dict[str, int],
        *,
        constants: dict[str, int] | None = None,
        sources: Sequence[Path] | None = None,
        workdir: Path | None = None,
    ):
        self.top = top
        self.inputs = inputs
        self.outputs = outputs
        self.constants = constants or {}
        self.workdir = workdir
        files = tuple(Path(source) for source in sources or ())
        design = Design(top, parameters, files, binds=self._protocol_checkers())
        self.library = build_library(design, self._wrapper, key=repr((inputs, outputs, sorted(self.constants))))
        self._rtl_run = ctypes.CDLL(str(self.library)).rtl_run

    def run(
        self,
        inputs: dict[str, list[int]],
        expected_beats: dict[str, int],
        *,
        seed: int = 0,
        p_valid: float = 1.0,
        p_ready: float = 1.0,
        reset_at: int | None = None,
        max_cycles: int = 1_000_000,
        extra_cycles: int = 50,
    ) -> RtlRun:
        """Send `inputs`, collect `expected_beats` of each output, and runs `extra_cycles` more.

        Each cycle an idle input offers its next beat with probability `p_valid`, and an output is ready with `p_ready`.
        With `reset_at=n` the module is reset for 3 cycles after n cycles, and everything starts again from the first
        beat.

        Raises:
            RtlError: a stream breaks its protocol (rtl/stream_assert.sv is bound to each), a combinational path between
                valid and ready, too few beats within `max_cycles` (a deadlock), too many, an input not taken, or
                $error/$fatal in the module.
        """
        for given, known in ((inputs, self.inputs), (expected_beats, self.outputs)):
            if given.keys() != known.keys():
                raise ValueError(f"{self.top} has streams {sorted(known)}, not {sorted(given)}")
        sent = {name: _to_words(beats, self.inputs[name], f"{self.top}.{name}") for name, beats in inputs.items()}
        received = {
            name: np.zeros((count, _words(self.outputs[name])), np.uint32) for name, count in expected_beats.items()
        }
        constants = [_to_words([value], 256, name) for name, value in sorted(self.constants.items())]
        run = _Run(seed, p_valid, p_ready, -1 if reset_at is None else reset_at, max_cycles, extra_cycles)
        with contextlib.chdir(self.workdir or "."):
            failed = self._rtl_run(
                ctypes.byref(run),
                _streams(self.inputs, sent),
                _streams(self.outputs, received),
                (ctypes.c_void_p * len(constants))(*(words.ctypes.data for words in constants)),
            )
        if failed:
            raise RtlError(f"{self.top}: {run.error.decode(errors='replace')}")
        return RtlRun({name: _to_ints(words) for name, words in received.items()}, run.cycles)

    def _wrapper(self, ports: dict[str, Port]) -> str:
        self._check_ports(ports)
        lines = [
            f"model->inputs.push_back({_stream_port(name, width, 'i', 'o')});" for name, width in self.inputs.items()
        ]
        lines += [
            f"model->outputs.push_back({_stream_port(name, width, 'o', 'i')});" for name, width in self.outputs.items()
        ]
        lines += [f"model->constants.push_back({{&top.{name}, sizeof top.{name}}});" for name in sorted(self.constants)]
        return _WRAPPER.replace("TOP", f"V{self.top}").replace("PORTS", "\n    ".join(lines))

    def _protocol_checkers(self) -> str:
        """Return a bind of rtl/stream_assert.sv for each stream of the top."""
        streams = [("input", name, "i", "o") for name in self.inputs]
        streams += [("output", name, "o", "i") for name in self.outputs]
        return "".join(_BIND.format(self.top, *stream) for stream in streams)

    def _check_ports(self, ports: dict[str, Port]) -> None:
        named = {Port("clk_i", 1, False), Port("rst_ni", 1, False)}
        named |= {ports.get(name, Port(name, 0, False)) for name in self.constants}
        for streams, to, back in ((self.inputs, "i", "o"), (self.outputs, "o", "i")):
            for name, width in streams.items():
                named |= {Port(f"{name}_data_{to}", width, to == "o"), Port(f"{name}_valid_{to}", 1, to == "o")}
                named |= {Port(f"{name}_ready_{back}", 1, back == "o")}
        found = set(ports.values())
        if named != found:
            missing, surplus = (
                ", ".join(sorted(f"{port.name}[{port.width}]" for port in some)) or "none"
                for some in (named - found, found - named)
            )
            raise RtlError(f"ports of {self.top} [bits]: not found as named: {missing}; found but not named: {surplus}")


# top, input or output, stream, suffix of data and valid, suffix of ready
_BIND = """\
bind {0} stream_assert #(.Width($bits({2}_data_{3})), .Name("{1} {2}")) i_assert_{2} (
    .clk_i, .rst_ni, .data_i({2}_data_{3}), .valid_i({2}_valid_{3}), .ready_i({2}_ready_{4})
);
"""
_WRAPPER = """\
#include "TOP.h"
#include "harness.hpp"

namespace {

struct Wrapper final : harness::Model {
    VerilatedContext context;
    std::unique_ptr<TOP> instance;
    void eval() override { instance->eval(); }
};

}  // namespace

std::unique_ptr<harness::Model> harness::make_model(int seed) {
    auto model = std::make_unique<Wrapper>();
    model->context.randReset(2);
    model->context.randSeed(seed);
    model->instance = std::make_unique<TOP>(&model->context, "TOP");
    auto& top = *model->instance;
    model->clk = &top.clk_i;
    model->rst_n = &top.rst_ni;
    PORTS
    return model;
}
"""


def _stream_port(name: str, width: int, to: str, back: str) -> str:
    data = f"top.{name}_data_{to}"
    return f'{{"{name}", {{&{data}, sizeof {data}}}, {width}, &top.{name}_valid_{to}, &top.{name}_ready_{back}}}'


def _words(width: int) -> int:
    return -(-width // 32)


def _streams(order: dict[str, int], arrays: dict[str, np.ndarray]) -> ctypes.Array:
    return (_Stream * len(order))(*(_Stream(arrays[name].ctypes.data, len(arrays[name]), 0) for name in order))


def _to_words(beats: Sequence[int], width: int, name: str) -> np.ndarray:
    """Beats as a uint32 array [beat, word], low word first."""
    for index, beat in enumerate(beats):
        if not 0 <= beat < 1 << width:
            raise ValueError(f"beat {index} of {name} is {beat:#x}, which is not an unsigned number of {width} bits")
    size = 4 * _words(width)
    data = b"".join(int(beat).to_bytes(size, "little") for beat in beats)
    return np.frombuffer(data, "<u4").reshape(len(beats), size // 4)


def _to_ints(words: np.ndarray) -> list[int]:
    data, size = words.tobytes(), 4 * words.shape[1]
    return [int.from_bytes(data[start : start + size], "little") for start in range(0, len(data), size)]
