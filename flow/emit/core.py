"""The common part of the emitters of HLS and RTL: names, weights in DDR, templates, the nodes' cells and calls."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2

from deploy.frames import WORD_BYTES
from flow.errors import FlowError
from flow.graph import Node
from flow.nodes import Call, Cell, NodeError
from flow.project import sha256

TEMPLATES = Path(__file__).parent / "templates"


class Names:
    """Gives identifiers for SystemVerilog or C++, none twice and none that is ``reserved``."""

    def __init__(self, reserved: Iterable[str]):
        self.used = set(reserved)

    def take(self, name: str, suffixes: tuple[str, ...] = ("",)) -> str:
        """Return an identifier like ``name`` that, with each of ``suffixes``, is not used yet, and reserve it."""
        word = re.sub(r"\W", "_", name, flags=re.ASCII).strip("_") or "unnamed"
        word = f"n{word}" if word[0].isdigit() else word
        candidate, number = word, 2
        while any(candidate + suffix in self.used for suffix in suffixes):
            candidate, number = f"{word}_{number}", number + 1
        self.used.update(candidate + suffix for suffix in suffixes)
        return candidate


@dataclass(frozen=True)
class Region:
    """The weights of a layer in DDR: ``data`` at byte ``offset``."""

    layer: str
    offset: int
    data: bytes

    @property
    def words(self) -> int:
        """Its 64-bit words."""
        return len(self.data) // WORD_BYTES

    def as_dict(self) -> dict:
        """Return its entry in the manifest."""
        return {
            "layer": self.layer,
            "offset": self.offset,
            "bytes": len(self.data),
            "words_per_frame": self.words,
            "sha256": sha256(self.data),
        }


def regions_of(nodes: Iterable[Node], alignment: int) -> list[Region]:
    """Return the weights that ``nodes`` read from DDR, each at a multiple of ``alignment`` bytes."""
    regions: list[Region] = []
    offset = 0
    for node in nodes:
        if node.op.ddr_words:
            regions.append(Region(node.name, offset, node.op.ddr_weights(*node.constants)))
            offset += -(-len(regions[-1].data) // alignment) * alignment
    return regions


def ddr_image(regions: list[Region]) -> bytes:
    """Return the contents of DDR from the first region on."""
    image = bytearray()
    for region in regions:
        image += bytes(region.offset - len(image)) + region.data
    return bytes(image)


def cell_of(node: Node) -> Cell:
    """Return the module instance of ``node``.

    Raises:
        FlowError: there is no such module, or it does not do what the attributes ask for.
    """
    try:
        return node.op.rtl(*node.constants)
    except NodeError as error:
        raise FlowError(f"{node.name}: {error}") from error


def call_of(node: Node) -> Call:
    """Return the call of ``node``'s HLS header.

    Raises:
        FlowError: there is no such header, or it does not do what the attributes ask for.
    """
    try:
        return node.op.hls(*node.constants)
    except NodeError as error:
        raise FlowError(f"{node.name}: {error}") from error


@cache
def _environment(folder: Path) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["braced"] = braced
    return environment


def render(folder: str, template: str, **values) -> str:
    """Return the text of ``templates/<folder>/<template>.j2``; a value that is missing is an error."""
    return _environment(TEMPLATES / folder).get_template(f"{template}.j2").render(**values)


def braced(text: str) -> str:
    """Return a Tcl word whose value is ``text``.

    Raises:
        FlowError: it holds a brace or a backslash.
    """
    if re.search(r"[{}\\]", text):
        raise FlowError(f"{text!r}: a brace or backslash cannot go into a Tcl script: rename the folder")
    return f"{{{text}}}"
