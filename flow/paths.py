"""Where the hardware sources are: beside the package in a checkout, inside it when installed."""

from __future__ import annotations

from pathlib import Path

from flow.errors import FlowError

PACKAGE = Path(__file__).resolve().parent


def hls_folder() -> Path:
    """The folder with one C++ header a node.

    Raises:
        FlowError: the installation is incomplete.
    """
    return _folder("hls", "stream_types.hpp")


def rtl_folder() -> Path:
    """The folder with one SystemVerilog module a file.

    Raises:
        FlowError: the installation is incomplete.
    """
    return _folder("rtl", "fifo.sv")


def _folder(name: str, member: str) -> Path:
    for folder in (PACKAGE.parent / name, PACKAGE / name):
        if (folder / member).is_file():
            return folder
    raise FlowError(f"no {name}/{member} beside or inside {PACKAGE}: reinstall the package")
