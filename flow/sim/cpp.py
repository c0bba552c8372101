"""Compiles the HLS headers with g++: the simplest of the simulators, exact in values, silent about time."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flow.errors import FlowError, require_space
from flow.library import hls_folder

# ap_int's constructors read the member they are about to clear; inlined into our functions, g++ calls it our reading.
FLAGS = (
    "-std=c++14",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-unknown-pragmas",
    "-Wno-uninitialized",
    "-Wno-maybe-uninitialized",
)
# Every x86-64 since 2008 counts ones in an instruction; without this flag g++ calls a table look-up, 7 times as slow.
if platform.machine() == "x86_64":
    FLAGS += ("-mpopcnt",)


CONCURRENT_FOLDER = Path(__file__).parent / "hls"  # hls_stream.h, in front of Vitis' and hls4ml's


class CompileError(FlowError):
    """g++ or the ap_int headers are missing, or g++ rejected a source."""


def ap_types_folder() -> Path:
    """Return the folder with ap_int.h and hls_stream.h, which hls4ml ships.

    It is found without an import of hls4ml, which is slow.

    Raises:
        CompileError: there is no hls4ml, or none with these headers.
    """
    spec = importlib.util.find_spec("hls4ml")
    if spec is None:
        raise CompileError("HLS C simulation needs the ap_int headers of hls4ml: pip install hls4ml==1.3.0")
    folder = Path(spec.submodule_search_locations[0]) / "templates" / "vivado" / "ap_types"
    if not (folder / "ap_int.h").is_file():
        raise CompileError(f"hls4ml has no {folder / 'ap_int.h'}: pip install hls4ml==1.3.0")
    return folder


def hls_include_dirs() -> tuple[Path, Path]:
    """Return the folders of ap_int.h and of our headers."""
    return ap_types_folder(), hls_folder()


def compile_cpp(
    sources: Iterable[Path], output: Path, extra_flags: Iterable[str] = (), *, concurrent: bool = False
) -> Path:
    """Compile C++ `sources` that include the HLS headers into the program `output`; return its path.

    ``concurrent`` takes flow's own hls_stream.h, in which streams block and processes run beside each other.

    The ap_int headers count as system headers: warnings, all of them errors, are about our own code.

    Raises:
        CompileError: with g++'s first errors, or with what is missing.
    """
    compiler = shutil.which("g++")
    if compiler is None:
        raise CompileError("HLS C simulation needs g++: apt-get install g++")
    ap_types, hls = hls_include_dirs()
    streams = ["-isystem", str(CONCURRENT_FOLDER)] * concurrent
    flags = [*FLAGS, *streams, "-isystem", str(ap_types), "-I", str(hls), *extra_flags]

    def compiled(source: Path, to: Path) -> Path:
        _run([compiler, *flags, "-c", str(source), "-o", str(to)])
        return to

    sources = list(sources)
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(os.cpu_count()) as pool:
        targets = [Path(scratch) / f"{index}.o" for index in range(len(sources))]
        objects = list(pool.map(compiled, sources, targets))
        _run([compiler, *map(str, objects), "-o", str(output)])
    return Path(output)


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        require_space(result.stderr)
        raise CompileError(f"{' '.join(command)}\n{result.stderr[:4000]}")
