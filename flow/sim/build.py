"""Verilator and g++: from SystemVerilog to a shared library, cached by content.

`run_verilator` translates a `Design` to C++ and returns its ports, `build_library` does that once per content and
links it with a C++ wrapper written from those ports.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from brevitas_models.cache import cached, digest
from flow.errors import FlowError, require_space
from flow.library import rtl_folder

RTL_FOLDER = rtl_folder()
CPP_FOLDER = Path(__file__).parent / "verilator"

VERILATOR_FLAGS = (
    "--cc",
    "-O3",
    "--x-assign",
    "fast",
    "--no-timing",
    "-Wall",
)
CXX_FLAGS = (
    "-std=c++17",
    "-O2",
    "-fPIC",
    "-fvisibility=hidden",
    "-fno-gnu-unique",  # several models live in one process
    "-DVL_USER_FATAL",
    "-DVL_USER_STOP",
    "-DVL_USER_FINISH",
    "-DVL_USER_WARN",  # harness.cpp turns them into exceptions
    "-Wno-psabi",
)
RUNTIME_SOURCES = ("verilated.cpp", "verilated_threads.cpp")
MERGED_BYTES = 1_000_000  # generated C++ below this size is compiled as one unit: the headers cost more than the code


class RtlError(FlowError):
    """A module does not build, breaks the stream protocol, stalls, or gives too many or too few beats."""


@dataclass(frozen=True)
class Port:
    name: str
    width: int
    output: bool


@dataclass(frozen=True)
class Design:
    """A top module with its parameters: numbers of 32 bits, strings, and sized literals, "70'h0123", for wider ones.

    `sources` are read as they are; modules they instantiate are looked up by name as `<folder>/<module>.sv`,
    first in the folders of the sources, then in `rtl/`. `binds` is SystemVerilog that is read after them, for checkers
    that are bound to the top.
    """

    top: str
    parameters: dict[str, int | str] = field(default_factory=dict)
    sources: tuple[Path, ...] = ()
    binds: str = ""

    def __post_init__(self):
        if not self.sources:
            object.__setattr__(self, "sources", (RTL_FOLDER / f"{self.top}.sv",))
        for source in self.sources:
            if not source.is_file():
                raise RtlError(f"{self.top}: no source file {source}")

    @property
    def folders(self) -> list[Path]:
        return list(dict.fromkeys([*(source.parent for source in self.sources), RTL_FOLDER]))

    def files(self) -> list[Path]:
        """Return the sources and every file of the folders that they name, directly or not; or more, never fewer."""
        library = {path.stem: path for folder in reversed(self.folders) for path in folder.glob("*.sv")}
        library |= {source.stem: source for source in self.sources}
        bound = library.keys() & set(re.findall(r"\w+", self.binds))
        files, pending = [], [*self.sources, *(library[word] for word in sorted(bound))]
        while pending:
            path = pending.pop()
            if path not in files:
                files.append(path)
                words = set(re.findall(r"\w+", path.read_text(encoding="utf-8")))
                pending += [library[word] for word in sorted(words & library.keys())]
        return files


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise RtlError(f"RTL simulation needs {name}, which is not on PATH: apt install verilator g++")
    return path


def _run(command: Sequence[str | Path], what: str) -> str:
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if result.returncode:
        require_space(result.stderr + result.stdout)
        raise RtlError(f"{what} failed:\n{(result.stderr + result.stdout).strip()[-6000:]}")
    return result.stdout


@functools.cache
def tool_versions() -> str:
    return _run([_tool("verilator"), "--version"], "verilator") + _run([_tool("g++"), "-dumpfullversion"], "g++")


@functools.cache
def _include_folder() -> Path:
    return Path(_run([_tool("verilator"), "--getenv", "VERILATOR_ROOT"], "verilator").strip()) / "include"


def _include_flags() -> list[str | Path]:
    return ["-I", _include_folder(), "-I", _include_folder() / "vltstd"]


def _parameter_flag(name: str, value: int | str) -> str:
    if isinstance(value, str):
        literal = re.fullmatch(r"\d+'h[0-9a-fA-F]+", value)
        return f"-G{name}={value}" if literal else f'-G{name}="{value}"'
    if not -(2**31) <= value < 2**32:
        raise RtlError(
            f"parameter {name} = {value} does not fit 32 bits: "
            f'write it as a sized literal, such as "64\'h{abs(value):x}"'
        )
    return f"-G{name}={value}" if 0 <= value < 2**31 else f"-G{name}=32'h{value % 2**32:x}"


def run_verilator(design: Design, folder: Path, flags: Sequence[str] = ()) -> dict[str, Port]:
    """Write `V<top>.h` and its C++ files to `folder`; return the ports of the top by name. Warnings are errors."""
    binds = folder / "binds.sv"
    binds.write_text(design.binds, encoding="utf-8")
    command = [
        _tool("verilator"),
        *VERILATOR_FLAGS,
        *flags,
        "--top-module",
        design.top,
        "--prefix",
        f"V{design.top}",
        "--Mdir",
        folder,
        *(_parameter_flag(*item) for item in design.parameters.items()),
        *(word for path in design.folders for word in ("-y", path)),
        *design.sources,
        *([binds] if design.binds else []),
    ]
    _run(command, f"verilator {design.top}")
    return read_ports(folder / f"V{design.top}.h")


def read_ports(header: Path) -> dict[str, Port]:
    """Return the ports in a header written by Verilator: `VL_INW(&in_data_i,95,0,3);` is a 96-bit input."""
    found = re.findall(r"VL_(IN|OUT)\w*\(&(\w+),(\d+),(\d+)", header.read_text(encoding="utf-8"))
    return {name: Port(name, int(msb) - int(lsb) + 1, way == "OUT") for way, name, msb, lsb in found}


def _compile(source: Path, to: Path, *flags: str | Path) -> Path:
    _run([_tool("g++"), *CXX_FLAGS, *flags, "-c", source, "-o", to], f"g++ {source.name}")
    return to


def _cpp_sources() -> list[Path]:
    return sorted(CPP_FOLDER.glob("*.?pp"))


def runtime() -> Path:
    """Return a cached folder with what all models share: the objects `*.o` and the precompiled `verilated_all.hpp`."""

    def build(folder: Path) -> None:
        header = Path(shutil.copy(CPP_FOLDER / "verilated_all.hpp", folder))
        sources = [*(_include_folder() / name for name in RUNTIME_SOURCES), CPP_FOLDER / "harness.cpp"]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            precompiled = pool.submit(
                _compile, header, header.with_suffix(".hpp.gch"), "-x", "c++-header", *_include_flags()
            )
            objects = [
                pool.submit(_compile, source, folder / f"{source.stem}.o", "-include", header, *_include_flags())
                for source in sources
            ]
            for job in (precompiled, *objects):
                job.result()

    texts = [path.read_bytes() for path in _cpp_sources()]
    return cached(f"runtime-{digest(tool_versions(), ' '.join(CXX_FLAGS), *texts)}", build)


def _merge(sources: list[Path], folder: Path) -> list[Path]:
    if sum(source.stat().st_size for source in sources) > MERGED_BYTES:
        return sources
    merged = folder / "merged.cpp"
    merged.write_text("".join(f'#include "{source}"\n' for source in sources), encoding="utf-8")
    return [merged]


def build_library(
    design: Design, wrapper: Callable[[dict[str, Port]], str], flags: Sequence[str] = (), key: str = ""
) -> Path:
    """Return a shared library of the verilated design, `flow/sim/verilator/harness.cpp` and a wrapper.

    `wrapper(ports)` returns C++ that includes `V<top>.h`; it may raise RtlError about the ports. `key` says what the
    wrapper depends on besides the design.
    """

    def build(folder: Path) -> None:
        shared = runtime()
        with tempfile.TemporaryDirectory() as scratch:
            generated = Path(scratch)
            ports = run_verilator(design, generated, flags)
            (generated / "wrapper.cpp").write_text(wrapper(ports), encoding="utf-8")
            sources = _merge(sorted(generated.glob("*.cpp")), generated)
            options = ["-include", shared / "verilated_all.hpp", "-I", generated, "-I", CPP_FOLDER, *_include_flags()]
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                objects = list(pool.map(lambda source: _compile(source, source.with_suffix(".o"), *options), sources))
            objects += sorted(shared.glob("*.o"))
            link = [_tool("g++"), "-shared", "-Wl,-Bsymbolic", *objects, "-pthread", "-o", folder / "model.so"]
            _run(link, f"linking {design.top}")

    texts = [text for path in design.files() for text in (path.name, path.read_bytes())]
    texts += [path.read_bytes() for path in _cpp_sources()]
    parameters = sorted(design.parameters.items())
    settings = repr((design.top, parameters, design.binds, tuple(flags), VERILATOR_FLAGS, CXX_FLAGS, key))
    return cached(f"{design.top}-{digest(tool_versions(), settings, *texts)}", build) / "model.so"
