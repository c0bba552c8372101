"""The programs that simulation needs, asked for before the work begins and not after an hour."""

from __future__ import annotations

import shutil

from flow.errors import FlowError

STEPS_THAT_COMPILE = {"csim": ("g++",), "simulate": ("verilator", "g++", "make")}
ORDER = ("export", "streamline", "plan", "hls", "rtl", "csim", "simulate", "report")


def require_tools(first: str | None, last: str | None) -> None:
    """Raises FlowError if a step from ``first`` to ``last`` needs a program that is not on PATH."""
    if (first or ORDER[0]) not in ORDER or (last or ORDER[-1]) not in ORDER:
        return  # the build names the steps that there are
    steps = ORDER[ORDER.index(first or ORDER[0]) : ORDER.index(last or ORDER[-1]) + 1]
    missing = {tool for step in steps for tool in STEPS_THAT_COMPILE.get(step, ()) if shutil.which(tool) is None}
    if missing:
        names = " ".join(sorted(missing))
        raise FlowError(f"{names} not found: sudo apt-get install {names}, or stop before simulation with --to-step rtl")
