"""The parts of an emitted RTL project that are synthesised one by one: every distinct instance of the top module, and
the top's own logic around them.

An instance is distinct by its module, its parameters, the contents of its memory files and the text of its modules.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from brevitas_models.cache import digest
from flow.errors import FlowError

from .yosys import Yosys, written_json

WRAPPER = "part"
INSTANCE = "i."  # the instance in it, and before all names that come from it
MEMORY_SUFFIX = ".hex"


@dataclass(frozen=True)
class Part:
    """A module with its parameters, or (``module`` is the top, without ``ports``) the top with its instances as black
    boxes.

    ``sources`` and ``memories`` are (name, content); parameters name memories as in ``memories``.
    """

    module: str
    parameters: tuple[tuple[str, str], ...]
    ports: tuple[tuple[str, str, int], ...]  # direction, name, bits
    sources: tuple[tuple[str, str], ...]
    memories: tuple[tuple[str, bytes], ...]
    boxes: tuple[tuple[str, str], ...] = ()  # sources of black boxes

    @property
    def key(self) -> str:
        """Digest of all that decides the netlist, but for the tool."""
        texts = [self.module, repr(self.parameters), repr(self.ports)]
        texts += [word for pair in (*self.sources, *self.boxes) for word in pair]
        return digest(*texts, *(word for pair in self.memories for word in pair))

    @property
    def title(self) -> str:
        """The module and its short parameters."""
        shown = [f"{name}={value}" for name, value in self.parameters if len(value) <= 16]
        return f"{self.module} {' '.join(shown)}".strip()

    def write(self, folder: Path) -> str:
        """Write sources and memories into ``folder``, and return the commands that read them."""
        for name, content in (*self.memories, *((n, t.encode()) for n, t in (*self.sources, *self.boxes))):
            (folder / name).write_bytes(content)
        reads = []
        if self.boxes:
            reads.append(f"read_verilog -sv -lib -defer {' '.join(name for name, _ in self.boxes)}")
        reads.append(f"read_verilog -sv {'' if self.boxes else '-defer '}{' '.join(name for name, _ in self.sources)}")
        if self.ports:
            (folder / f"{WRAPPER}.v").write_text(self._wrapper(), encoding="utf-8")
            reads.append(f"read_verilog {WRAPPER}.v")
        return "\n".join(reads)

    @property
    def top(self) -> str:
        """Name of the module to synthesise: a wrapper that gives the parameters, or the top itself."""
        return WRAPPER if self.ports else self.module

    def _wrapper(self) -> str:
        ports = ", ".join(f"{direction} [{bits - 1}:0] {name}" for direction, name, bits in self.ports)
        parameters = ", ".join(f".{name}({value})" for name, value in self.parameters)
        connections = ", ".join(f".{name}({name})" for _, name, _ in self.ports)
        given = f" #({parameters})" if parameters else ""
        return f"module {WRAPPER} ({ports});\n  {self.module}{given} {INSTANCE[:-1]} ({connections});\nendmodule\n"


@dataclass(frozen=True)
class Design:
    """An RTL project as parts: the top's own logic, and the part that each of its instances is one of."""

    name: str
    glue: Part
    instances: dict[str, Part]

    def labels(self) -> dict[Part, str]:
        """Return by part the instance it is of, of several the first: "SlidingWindow_0 and 2 more (sliding_window)"."""
        names: dict[Part, list[str]] = {self.glue: [self.name]}
        for name, part in self.instances.items():
            names.setdefault(part, []).append(name)
        return {
            part: f"{first}{f' and {len(others)} more' if others else ''} ({part.module})"
            for part, (first, *others) in names.items()
        }


def read_design(project: Path, top: str, yosys: Yosys) -> Design:
    """Elaborate the top module of an RTL project, and no module below it.

    Raises:
        FlowError: Yosys does not take the project.
    """
    sources = {path.name: path.read_text(encoding="utf-8") for path in sorted((project / "rtl").glob("*.sv"))}
    memories = {path.name: path.read_bytes() for path in sorted((project / "data").glob(f"*{MEMORY_SUFFIX}"))}
    text = sources.pop(f"{top}.sv")
    words = set(re.findall(r"\w+", _code(text)))
    below = sources_of({name.removesuffix(".sv") for name in sources} & words, sources)
    glue = Part(top, (), (), ((f"{top}.sv", text),), tuple(memories.items()), tuple(below.items()))
    with tempfile.TemporaryDirectory(prefix="flow-synth-") as name:
        folder = Path(name)
        yosys.run(f"{glue.write(folder)}\nhierarchy -check -top {top}\nproc\nwrite_json top.json\n", folder)
        design = written_json(folder / "top.json")
    instances = {}
    for instance, cell in design["modules"][top]["cells"].items():
        if not cell["type"].startswith("$") or cell["type"].startswith("$paramod"):
            instances[instance] = _part(cell["type"], design["modules"].get(cell["type"]), sources, memories)
    return Design(top, glue, instances)


def _part(kind: str, box: dict | None, sources: dict[str, str], memories: dict[str, bytes]) -> Part:
    if box is None:
        raise FlowError(f"the top instantiates {kind}, which the project does not hold: emit it again (--fresh)")
    module = box["attributes"].get("hdlname", kind)
    ports = tuple((port["direction"], name, len(port["bits"])) for name, port in box["ports"].items())
    parameters: list[tuple[str, str]] = []
    used: dict[str, bytes] = {}
    for name, value in sorted(box.get("parameter_default_values", {}).items()):
        text = literal(value)
        if value in memories:  # by the order of use: names of files do not make a part another
            used[f"memory{len(used)}{MEMORY_SUFFIX}"] = memories[value]
            text = f'"memory{len(used) - 1}{MEMORY_SUFFIX}"'
        parameters.append((name, text))
    return Part(module, tuple(parameters), ports, tuple(sources_of({module}, sources).items()), tuple(used.items()))


def literal(value: str) -> str:
    """Return a parameter of a JSON netlist as a Verilog literal: bits, or text (bits and a blank are text)."""
    if value and set(value) <= set("01xz"):
        return f"{len(value)}'b{value}"
    return f'"{value.removesuffix(" ") if set(value) <= set("01xz ") else value}"'


def sources_of(modules: set[str], sources: dict[str, str]) -> dict[str, str]:
    """Return the sources of ``modules`` and of all that they name."""
    wanted, found = set(modules), {}
    names = {path.removesuffix(".sv"): path for path in sources}
    while wanted:
        name = wanted.pop()
        path = names[name]
        found[path] = sources[path]
        words = set(re.findall(r"\w+", _code(sources[path])))
        wanted |= {other for other in words & names.keys() if names[other] not in found}
    return dict(sorted(found.items()))


def _code(text: str) -> str:
    return re.sub(r"//[^\n]*", "", text)
