"""The programs that simulation needs, asked for before the work begins and not after an hour."""

from __future__ import annotations

import shutil

from flow.errors import FlowError

STEPS_THAT_COMPILE = {"csim": ("g++",), "simulate": ("verilator", "g++", "make")}


def require_tools(names: tuple[str, ...], first: str | None, last: str | None) -> None:
    """Raise FlowError if a step from ``first`` to ``last`` of ``names`` needs a program that is not on PATH."""
    if (first or names[0]) not in names or (last or names[-1]) not in names:
        return  # the build names the steps that there are
    steps = names[names.index(first or names[0]) : names.index(last or names[-1]) + 1]
    missing = {tool for step in steps for tool in STEPS_THAT_COMPILE.get(step, ()) if shutil.which(tool) is None}
    if missing:
        names = " ".join(sorted(missing))
        raise FlowError(
            f"{names} not found: sudo apt-get install {names}, or stop before simulation with --to-step rtl"
        )
