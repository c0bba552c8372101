"""Training on a CPU: the convolution and the element-wise rest of a binary block as C++, compiled when first used.

The same mathematics as the modules that they stand in for (tests/models/test_kernels.py compares values and gradients);
benchmarks/trainer.py measures the trainer that uses them. Maps are float32 and channels last in memory; channels come
in multiples of LANES.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor

from ..cache import cached, digest
from ..errors import ModelError

FOLDER = Path(__file__).parent
FLAGS = ["-O3", "-march=native", "-mprefer-vector-width=512", "-fno-math-errno", "-fopenmp", "-shared", "-fPIC"]
LIBRARY = "kernels.so"
LANES = 16
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels; None where no C++ compiler takes them, or others could have written them (cache)."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        return None
    texts = [path.read_text() for path in sorted(FOLDER.glob("*.?pp"))]
    key = f"kernels-{digest(compiler, *FLAGS, _processor(), *texts)}"
    try:
        return ctypes.CDLL(str(cached(key, partial(_compile, compiler)) / LIBRARY))
    except (OSError, subprocess.CalledProcessError, ModelError):
        return None


def _compile(compiler: str, folder: Path) -> None:
    sources = sorted(FOLDER.glob("*.cpp"))
    subprocess.run([compiler, *FLAGS, "-o", folder / LIBRARY, *sources], check=True, capture_output=True)


def _processor() -> str:
    """What -march=native depends on: a cache folder may be shared between machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())


def usable(device: torch.device, *channels: int) -> bool:
    """Can the kernels be taken for maps of so many channels? Not under autocast, nor in what torch.compile traces."""
    fits = device.type == "cpu" and all(count % LANES == 0 for count in channels)
    traced = torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu")
    return fits and not traced and library() is not None


def keep_memory() -> bool:
    """Tells glibc to keep freed maps instead of giving them back: new pages are slow to come by.

    False if there is no glibc.
    """
    try:
        libc = ctypes.CDLL(None)
        return bool(libc.mallopt(M_MMAP_MAX, 0) and libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
    except (OSError, AttributeError):
        return False


def call(name: str, *arguments: Tensor | int | float | None) -> None:
    """Calls a kernel: tensors as pointers to float32, whole numbers as int64, others as float."""
    types = {int: ctypes.c_int64, bool: ctypes.c_int64, float: ctypes.c_float}
    words = [
        ctypes.c_void_p(None if a is None else a.data_ptr())
        if a is None or isinstance(a, Tensor)
        else types[type(a)](a)
        for a in arguments
    ]
    getattr(library(), name)(*words)


def channels_last(x: Tensor) -> Tensor:
    """[N, C, H, W] as contiguous float32 [N, H, W, C]."""
    return x.float().permute(0, 2, 3, 1).contiguous()


def channels_first(x: Tensor) -> Tensor:
    """Contiguous [N, H, W, C] as [N, C, H, W]."""
    return x.permute(0, 3, 1, 2)
