"""Files that lie outside of flow/ in a checkout: hardware sources, and the licence.

rtl/ and hls/, with one SystemVerilog module and one C++ header a file, lie beside flow/ in a checkout, where they are
looked for first; an installed package has them inside. Nodes of other folders (`flow.nodes.add_folder`) bring theirs
along.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from flow import nodes
from flow.errors import FlowError

PACKAGE = Path(__file__).resolve().parent
DISTRIBUTION = "popbin-flow"  # its name in pyproject.toml
LICENCES = ("LICENSE", "NOTICE")


def hls_folder() -> Path:
    """Return the folder with one C++ header a node.

    Raises:
        FlowError: the installation is incomplete.
    """
    return _folder("hls", "stream_types.hpp")


def rtl_folder() -> Path:
    """Return the folder with one SystemVerilog module a file.

    Raises:
        FlowError: the installation is incomplete.
    """
    return _folder("rtl", "fifo.sv")


def licences() -> dict[str, bytes]:
    """Return the content of LICENSE and NOTICE, by name; an installed package has them in its metadata.

    Raises:
        FlowError: the installation is incomplete.
    """
    if rtl_folder().parent == PACKAGE.parent:
        places = {name: PACKAGE.parent / name for name in LICENCES}
    else:
        try:
            files = metadata.files(DISTRIBUTION) or []
        except metadata.PackageNotFoundError:
            files = []
        places = {file.name: Path(str(file.locate())) for file in files if file.name in LICENCES}
    for name in LICENCES:
        if name not in places or not places[name].is_file():
            raise FlowError(f"no {name} beside {PACKAGE} or in the metadata of {DISTRIBUTION}: reinstall the package")
    return {name: places[name].read_bytes() for name in LICENCES}


def modules() -> dict[str, Path]:
    """Return the file of every SystemVerilog module by name."""
    return _files("*.sv", rtl_folder())


def headers() -> dict[str, Path]:
    """Return every C++ header by its file name."""
    return {path.name: path for path in _files("*.hpp", hls_folder()).values()}


def with_submodules(names: Iterable[str]) -> dict[str, Path]:
    """Return the files of the modules ``names`` and of all that they instantiate, directly or not.

    Raises:
        FlowError: there is no module of that name.
    """
    known = modules()

    def instantiated(path: Path) -> set[str]:
        code = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
        return set(re.findall(r"^\s*(\w+)\s+(?:#\s*\(|\w+\s*\()", code, re.MULTILINE)) & known.keys()

    return _closure(names, known, instantiated)


def with_includes(names: Iterable[str]) -> dict[str, Path]:
    """Return the headers ``names`` and all of the same folders that they include, directly or not.

    Raises:
        FlowError: there is no header of that name.
    """
    known = headers()

    def included(path: Path) -> set[str]:
        text = path.read_text(encoding="utf-8")
        return set(re.findall(r'^#include "(\w+\.hpp)"', text, re.MULTILINE)) & known.keys()

    return _closure(names, known, included)


def _closure(names: Iterable[str], known: dict[str, Path], needs) -> dict[str, Path]:
    found: dict[str, Path] = {}
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in found:
            continue
        if name not in known:
            raise FlowError(f"no source {name} beside the nodes: known are {', '.join(sorted(known))}")
        found[name] = known[name]
        pending += needs(known[name])
    return dict(sorted(found.items()))


def _files(pattern: str, folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for place in (folder, *nodes.folders()):
        for path in sorted(place.glob(pattern)):
            if path.stem in found:
                raise FlowError(f"{path} has the name of {found[path.stem]}: give it another one")
            found[path.stem] = path
    return found


def _folder(name: str, member: str) -> Path:
    for folder in (PACKAGE.parent / name, PACKAGE / name):
        if (folder / member).is_file():
            return folder
    raise FlowError(f"no {name}/{member} beside or inside {PACKAGE}: reinstall the package")
