"""Hardware nodes: one file a node, each the definition that its HLS header and RTL module must equal.

Imports numpy and nothing else, so that the board's package ships the same files. Nodes are found by themselves: every
HardwareOp subclass in a file of this folder, or of one that `add_folder` names, is a kind of node.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

from .base import HardwareOp
from .cells import Array, Call, Cell, Link, Memory, Process, Table
from .cost import Cost, memory_cost, ram_cost
from .errors import NodeError
from .stream import Interval, Stream

_kinds: dict[str, type[HardwareOp]] = {}
_folders: list[Path] = []


def kinds() -> dict[str, type[HardwareOp]]:
    """Return every kind of node by name."""
    if not _kinds:
        for path in sorted(Path(__file__).parent.glob("*.py")):
            if path.stem != "__init__":
                _register(importlib.import_module(f"{__name__}.{path.stem}"))
    return _kinds


def find(kind: str) -> type[HardwareOp]:
    """Return the node ``kind``.

    Raises:
        NodeError: there is none.
    """
    if kind not in kinds():
        raise NodeError(f"there is no node of kind {kind!r}: known are {', '.join(sorted(kinds()))}")
    return kinds()[kind]


def add_folder(folder: str | Path) -> list[str]:
    """Add the nodes of every Python file in ``folder``; their modules and headers lie beside them. Return their names.

    Raises:
        NodeError: there is no node in it, or one whose name is taken.
    """
    folder, found = Path(folder).resolve(), []
    kinds()
    for path in sorted(folder.glob("*.py")):
        name = f"flow_nodes_{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        found += _register(module)
    if not found:
        raise NodeError(f"{folder} holds no node: a Python file with a subclass of flow.nodes.HardwareOp")
    if folder not in _folders:
        _folders.append(folder)
    return found


def folders() -> list[Path]:
    """Return the folders that `add_folder` added."""
    return list(_folders)


def _register(module) -> list[str]:
    found = []
    for value in vars(module).values():
        concrete = isinstance(value, type) and issubclass(value, HardwareOp) and value.__module__ == module.__name__
        if concrete and value.evaluate is not HardwareOp.evaluate:
            if value.__name__ in _kinds and _kinds[value.__name__].source() != value.source():
                raise NodeError(
                    f"{value.source()}: there is a node {value.__name__} already, in {_kinds[value.__name__].source()}"
                )
            _kinds[value.__name__] = value
            found.append(value.__name__)
    return found


__all__ = [
    "Array",
    "Call",
    "Cell",
    "Cost",
    "HardwareOp",
    "Interval",
    "Link",
    "Memory",
    "NodeError",
    "Process",
    "Stream",
    "Table",
    "add_folder",
    "find",
    "folders",
    "kinds",
    "memory_cost",
    "ram_cost",
]
