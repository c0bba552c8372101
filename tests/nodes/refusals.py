"""What is refused, by a node, by its module and by its header, is refused with its message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flow.errors import FlowError
from flow.sim.cpp import CompileError
from flow.sim.module import RtlError, RtlModule
from tests.hls.harness import Instance, called, compile_only
from tests.nodes.harness import hardware_node, hardware_op


def assert_refused(emit: Callable, message: str, kind: str, *constants, **attributes) -> None:
    """``emit``, which is `cell_of` or `call_of`, refuses the node with this message."""
    with pytest.raises(FlowError) as caught:
        emit(hardware_node(hardware_op(kind, **attributes), *constants))
    assert str(caught.value) == f"node: {message}"


def assert_module_refuses(
    message: str,
    top: str,
    parameters: dict,
    inputs: dict[str, int],
    outputs: dict[str, int],
    folder: Path | None = None,
) -> None:
    """The module ends its simulation with this message, a regular expression. Its memories in ``folder`` are empty."""
    files = [value for value in parameters.values() if isinstance(value, str) and value.endswith(".hex")]
    for name in files:
        (folder / name).write_text("")
    module = RtlModule(top, parameters, inputs, outputs, workdir=folder)
    with pytest.raises(RtlError, match=message):
        module.run({name: [] for name in inputs}, dict.fromkeys(outputs, 0))


def assert_header_refuses(
    message: str,
    headers: str | tuple[str, ...],
    parameters: tuple,
    folder: Path,
    inputs: dict[str, int],
    outputs: dict[str, int],
    arrays: dict[str, str] | None = None,
    function: str = "",
    **tables: tuple[str, tuple[int, ...]],
) -> None:
    """g++ ends with this message, a regular expression, on ``function``, or on that of the last of ``headers``.

    ``tables``: name -> (C++ type, shape). ``arrays``: name -> declaration of a memory that the function is given.
    """
    headers = (headers,) if isinstance(headers, str) else headers
    wrong = Instance(
        "wrong",
        called(function or headers[-1], *parameters),
        inputs={name: ([], bits) for name, bits in inputs.items()},
        outputs=outputs,
        tables={name: (ctype, np.zeros(shape)) for name, (ctype, shape) in tables.items()},
        arguments=(*inputs, *outputs, *tables, *(arrays or {})),
        declared=tuple((arrays or {}).values()),
    )
    with pytest.raises(CompileError, match=message):
        compile_only(headers, wrong, folder)
