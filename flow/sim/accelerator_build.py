"""From an RTL project to a simulator of its accelerator as a shared library, cached by content.

As `flow.sim.build.build_library`, but for a design of 100,000 lines of C++: what runs once is compiled without
optimisation, what runs every cycle with the machine's population count, and headers once.
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from brevitas_models.cache import cached, digest
from flow.sim.build import (
    CPP_FOLDER,
    CXX_FLAGS,
    VERILATOR_FLAGS,
    Design,
    _compile,
    _include_flags,
    _run,
    _tool,
    run_verilator,
    runtime,
    tool_versions,
)

HARNESS_FOLDER = Path(__file__).parent / "rtl"
FLAGS = ("+define+FLOW_TAPS", "+define+FLOW_COUNTONES", "--output-split", "4000", "--output-split-cfuncs", "400")
ONCE_FLAGS = ("-O0",)  # constructors, initial values: a later -O wins

PRELUDE = """\
#pragma once
#include "verilated_all.hpp"
#ifdef __POPCNT__
#define VL_COUNTONES_I(word) __builtin_popcount(word)
#define VL_COUNTONES_Q(word) __builtin_popcountll(word)
static inline IData popcount_words(int words, WDataInP const from) {
    IData count = 0;
    for (int i = 0; i < words; ++i) count += __builtin_popcount(from[i]);
    return count;
}
#define VL_COUNTONES_W(words, from) popcount_words(words, from)
#endif
#include "Vaccelerator_top__Syms.h"
"""
WRAPPER = """\
#include "Vaccelerator_top.h"
#define FLOW_DDR {ddr}
#include "accelerator.hpp"
"""


@functools.cache
def machine_flags() -> tuple[str, ...]:
    """Return g++'s flags for the instructions of this machine that the simulator uses."""
    try:
        words = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        words = []
    return ("-mpopcnt",) if "popcnt" in words else ()


def build_accelerator(project: Path, *, ddr: bool, sources: Sequence[Path] = ()) -> Path:
    """Return the simulator of the RTL in ``project``/rtl, or of ``sources``; ``ddr``: the top has a port m_axi.

    Raises:
        RtlError: no Verilator or g++, or the sources do not build.
    """
    design = Design("accelerator_top", sources=tuple(sources) or (project / "rtl" / "accelerator_top.sv",))
    texts = [text for path in design.files() for text in (path.name, path.read_bytes())]
    texts += [path.read_bytes() for folder in (HARNESS_FOLDER, CPP_FOLDER) for path in sorted(folder.glob("*.?pp"))]
    settings = repr((ddr, FLAGS, ONCE_FLAGS, PRELUDE, WRAPPER, machine_flags(), VERILATOR_FLAGS, CXX_FLAGS))
    key = f"accelerator-{digest(tool_versions(), settings, *texts)}"
    return cached(key, lambda folder: _build(design, folder, ddr)) / "model.so"


def _build(design: Design, folder: Path, ddr: bool) -> None:
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(1) as beside:
        shared = beside.submit(runtime)  # while Verilator, which takes one core, translates
        generated = Path(scratch)
        run_verilator(design, generated, FLAGS)
        (generated / "wrapper.cpp").write_text(WRAPPER.format(ddr=int(ddr)), encoding="utf-8")
        shutil.copy(CPP_FOLDER / "verilated_all.hpp", generated)
        includes = ["-I", generated, "-I", CPP_FOLDER, "-I", HARNESS_FOLDER, *_include_flags()]
        once, often = ([*machine_flags(), *flags, *includes] for flags in (ONCE_FLAGS, ()))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            headers = {
                name: pool.submit(_prelude, generated / name, flags)
                for name, flags in (("once", once), ("often", often))
            }
            options = {
                name: ["-include", header.result(), *flags]
                for (name, header), flags in zip(headers.items(), (once, often))
            }
            sources = sorted(generated.glob("*.cpp"), key=lambda path: -path.stat().st_size)  # long ones first
            objects = list(
                pool.map(lambda source: _compile(source, source.with_suffix(".o"), *options[_kind(source)]), sources)
            )
        link = [
            _tool("g++"),
            "-shared",
            "-Wl,-Bsymbolic",
            *objects,
            *sorted(shared.result().glob("*.o")),
            "-pthread",
            "-o",
            folder / "model.so",
        ]
        _run(link, "linking accelerator_top")


def _kind(source: Path) -> str:
    return "once" if source.stem.endswith(("__Slow", "__Syms")) else "often"


def _prelude(folder: Path, flags: list) -> Path:
    """Write and precompile the headers that all sources share; return the header to include."""
    folder.mkdir()
    header = folder / "prelude.hpp"
    header.write_text(PRELUDE, encoding="utf-8")
    _compile(header, header.with_suffix(".hpp.gch"), "-x", "c++-header", *flags)
    return header
