"""An open flow for 1-bit neural networks on FPGAs.

    import flow

    result = flow.build(model="bireal18", strategy="qat", target="pynq-z2")
    print(result.summary["simulated"])
    logits = result.golden(images)

Everything is loaded when it is first used, so that ``import flow`` costs nothing.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flow.api import Result, build, inspect, load
    from flow.errors import FlowError
    from flow.options import Options
    from flow.plan.plan import Plan

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime's; read when it is loaded (docs/security.md)

_PLACES = {
    "build": "flow.api",
    "inspect": "flow.api",
    "load": "flow.api",
    "Result": "flow.api",
    "FlowError": "flow.errors",
    "Options": "flow.options",
    "Plan": "flow.plan.plan",
}

__all__ = ["FlowError", "Options", "Plan", "Result", "build", "inspect", "load"]


def __getattr__(name: str):
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
