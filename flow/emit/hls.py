"""Writes a hardware graph as a Vitis HLS project that g++ compiles as well.

src/            the headers of the nodes that occur, the top function accelerator.cpp
src/tables/     constants, one file a layer
data/           ddr_weights.bin: 64-bit words for the layers whose weights are in DDR
tb/             testbench.cpp with images and the logits to compare
run_hls.tcl     C simulation, synthesis and export by Vitis HLS
manifest.json   SHA-256 and layer of every file; shape and tap number of every stream
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from flow.emit.hls_nodes import STORAGE, Call, call_of
from flow.emit.tables import cpp_array, ddr_bytes
from flow.errors import FlowError
from flow.graph import Node, hardware_nodes
from flow.ops import Stream
from flow.paths import hls_folder
from flow.project import sha256
from flow.sim.golden import Golden

DDR_ALIGNMENT = 128  # bytes: where a region of weights may start
TEMPLATES = Path(__file__).parent / "templates" / "hls"
TOP_VARIABLES = ("accelerator", "pixels", "logits", "frames", "frame", "flow", "nodes", "hls", "FrameWords", "Classes")
KEYWORDS = """and or not xor auto bool break case catch char class const continue default delete do double else enum explicit export
    extern false float for friend goto if inline int long mutable namespace new operator private protected public register
    return short signed sizeof static struct switch template this throw true try typedef union unsigned using virtual void
    volatile while""".split()


@dataclass(frozen=True)
class Wire:
    """An hls::stream of the top: the tensors that it carries, one but for Fifos, which are its depth."""

    id: int
    variable: str
    tensors: tuple[str, ...]
    layer: str
    stream: Stream
    depth: int
    storage: str | None

    @property
    def type(self) -> str:
        return _beat(self.stream)

    @property
    def tensor(self) -> str:
        return self.tensors[0]


@dataclass(frozen=True)
class Region:
    """The weights of a layer in ddr_weights.bin, filled up to the start of the next."""

    layer: str
    argument: str
    offset: int
    data: bytes

    @property
    def word(self) -> int:
        return self.offset // 8

    @property
    def words(self) -> int:
        return len(self.data) // 8


def emit_hls(
    model: ModelWrapper,
    folder: Path,
    *,
    build_id: str,
    part: str,
    clock_mhz: float,
    images: np.ndarray | None = None,
    expected: np.ndarray | None = None,
) -> Path:
    """Writes the HLS project of a planned hardware graph into ``folder``, which is emptied first; returns it.

    Args:
        images: uint8 [N, H, W, 3] for the testbench; two random images unless given.
        expected: their logits [N, classes]; those of the golden model unless given.

    Raises:
        FlowError: a node has no HLS header, or attributes that its header does not take.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()) and not (folder / "manifest.json").is_file():
        raise FlowError(f"{folder} is not empty and no HLS project: remove it or name another folder")
    project = _Project(model)
    shutil.rmtree(folder, ignore_errors=True)
    layers = project.write_sources(folder / "src")
    project.write_testbench(folder, images, expected)
    (folder / "run_hls.tcl").write_text(
        _render(
            "run_hls.tcl.j2",
            build_id=build_id,
            part=part,
            period=f"{1000 / clock_mhz:g}",
            sources=["src/accelerator.cpp"],
            testbench=[str(path) for path in project.testbench_files()],
        ),
    )
    manifest = {"build_id": build_id, "part": part, "clock_mhz": clock_mhz, **project.description()}
    manifest["files"] = {
        str(path.relative_to(folder)): {"sha256": sha256(path.read_bytes()), "layer": layers.get(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return folder


class _Project:
    """A graph with C++ identifiers for its layers and streams."""

    def __init__(self, model: ModelWrapper):
        self.golden = Golden(model)
        self.image, self.output = self.golden.input, self.golden.output
        self.nodes = [node for node in self.golden.nodes if not _is_wire(node)]
        self.calls = {node.name: call_of(node) for node in self.nodes}
        functions, variables = set(KEYWORDS), {*KEYWORDS, *TOP_VARIABLES}
        self.functions = {node.name: _identifier(node.name, functions) for node in self.nodes}
        self.regions = _regions(self.nodes, variables)
        self.wires = _wires(self.golden.nodes, self.image, variables)
        self.wire_of = {tensor: wire for wire in self.wires for tensor in wire.tensors}
        self.frame = self.wires[0].stream
        self.frame_elements = self.frame.height * self.frame.width * self.frame.channels
        self.result = self.wire_of[self.output]
        if self.frame_elements % 8:
            raise FlowError(f"{self.image}: {self.frame_elements} bytes a frame are not whole 64-bit words")

    @property
    def classes(self) -> int:
        return self.result.stream.beats * self.result.stream.parallel

    def write_sources(self, folder: Path) -> dict[Path, str]:
        """Writes src/; returns the layer of each table."""
        (folder / "tables").mkdir(parents=True)
        headers = sorted({header for call in self.calls.values() for header in call.headers})
        _copy_with_includes(["stream_types.hpp", *headers], folder)
        for name in ("axis.hpp", "tap.hpp"):
            shutil.copyfile(TEMPLATES / name, folder / name)
        layers = {}
        for node in self.nodes:
            if tables := self.calls[node.name].tables:
                path = folder / "tables" / f"{self.functions[node.name]}.hpp"
                arrays = "\n".join(cpp_array(table, self._table(node, table)) for table in tables)
                path.write_text(_render("table.hpp.j2", layer=node.name, kind=node.kind, arrays=arrays))
                layers[path] = node.name
        sizes = {"frame_words": self.frame_elements // 8, "classes": self.classes, "regions": self.regions}
        (folder / "accelerator.hpp").write_text(_render("accelerator.hpp.j2", **sizes))
        source = _render(
            "accelerator.cpp.j2",
            **sizes,
            headers=headers,
            tables=[path.relative_to(folder) for path in layers],
            nodes=[self._node_fields(node) for node in self.nodes],
            streams=self.wires,
            image=self._image_fields(),
            result={
                "parallel": self.result.stream.parallel,
                "bits": self.result.stream.bits,
                "variable": self.result.variable,
            },
        )
        (folder / "accelerator.cpp").write_text(source)
        return layers

    def write_testbench(self, folder: Path, images: np.ndarray | None, expected: np.ndarray | None) -> None:
        """Writes tb/ and data/."""
        if images is None:
            shape = (2, self.frame.height, self.frame.width, self.frame.channels)
            images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        (folder / "tb").mkdir()
        (folder / "tb" / "images.bin").write_bytes(np.ascontiguousarray(images, np.uint8).tobytes())
        logits = self.golden.execute(images) if expected is None else np.asarray(expected)
        (folder / "tb" / "expected_logits.bin").write_bytes(logits.astype("<i4").tobytes())
        source = _render(
            "testbench.cpp.j2",
            frame_words=self.frame_elements // 8,
            classes=self.classes,
            regions=self.regions,
            ddr_words=len(self._ddr_image()) // 8,
        )
        (folder / "tb" / "testbench.cpp").write_text(source)
        if self.regions:
            (folder / "data").mkdir()
            (folder / "data" / "ddr_weights.bin").write_bytes(self._ddr_image())

    def testbench_files(self) -> list[Path]:
        files = [Path("tb/testbench.cpp"), Path("tb/images.bin"), Path("tb/expected_logits.bin")]
        return files + [Path("data/ddr_weights.bin")] * bool(self.regions)

    def description(self) -> dict:
        """What a simulator of the project must know, for the manifest."""
        return {
            "image": [self.frame.height, self.frame.width, self.frame.channels],
            "classes": self.classes,
            "regions": [
                {
                    "layer": region.layer,
                    "offset": region.offset,
                    "bytes": len(region.data),
                    "sha256": sha256(region.data),
                }
                for region in self.regions
            ],
            "streams": [
                {"id": wire.id, "tensors": wire.tensors, "layer": wire.layer, **_stream_fields(wire.stream)}
                for wire in self.wires
            ],
        }

    def _ddr_image(self) -> bytes:
        return b"".join(region.data for region in self.regions)

    def _table(self, node: Node, table) -> str:
        return f"{self.functions[node.name]}_{table.suffix}"

    def _image_fields(self) -> dict:
        wire = self.wires[0]
        return {
            "variable": wire.variable,
            "id": wire.id,
            "parallel": wire.stream.parallel,
            "elements": self.frame_elements,
        }

    def _node_fields(self, node: Node) -> dict:
        call = self.calls[node.name]
        inputs, outputs = ([self.wire_of[tensor] for tensor in tensors] for tensors in (node.inputs, node.outputs))
        formals = [*_numbered("in", len(inputs)), *_numbered("out", len(outputs))]
        types = [f"hls::stream<{wire.type}>& " for wire in (*inputs, *outputs)]
        signature = [kind + name for kind, name in zip(types, formals)]
        actuals = [wire.variable for wire in (*inputs, *outputs)]
        arguments = formals + [self._table(node, table) for table in call.tables]
        for region in self.regions:
            if region.layer == node.name:
                signature.insert(1, "const ap_uint<64>* ddr")
                actuals.insert(1, region.argument)
                arguments.insert(1, "ddr")
        return {
            "title": f"{node.name}: " + ", ".join(map(_shape, inputs)) + " -> " + _shape(outputs[0]),
            "function": self.functions[node.name],
            "header_function": call.function,
            "signature": ", ".join(signature),
            "pragmas": self._pragmas(node, call),
            "parameters": ", ".join(f"{name} {value}" for name, value in call.parameters.items()),
            "template_arguments": ", ".join(map(str, call.parameters.values())),
            "arguments": ", ".join(arguments),
            "actuals": ", ".join(actuals),
            "taps": [(wire.variable, wire.id) for wire in outputs],
        }

    def _pragmas(self, node: Node, call: Call) -> list[str]:
        if call.storage is None:
            return []
        return [f"BIND_STORAGE variable={self._table(node, call.tables[0])} type=rom_1p impl={call.storage}"]


def _is_wire(node: Node) -> bool:
    """A Fifo is the depth of a stream, and a 1x1 window is the stream itself."""
    return node.kind == "Fifo" or (node.kind == "SlidingWindow" and node.op.passes_through)


def _wires(nodes: list[Node], image: str, used: set[str]) -> list[Wire]:
    following = {node.inputs[0]: node for node in nodes if _is_wire(node)}
    first = next(stream for node in nodes for tensor, stream in node.input_streams().items() if tensor == image)
    made = [(image, "", first)]
    made += [
        (tensor, node.name, stream)
        for node in nodes
        if not _is_wire(node)
        for tensor, stream in node.output_streams().items()
    ]
    wires = []
    for tensor, layer, stream in made:
        chain = _chain(tensor, following)
        fifos = [node.op for node in chain if node.kind == "Fifo"]
        deepest = max(fifos, key=lambda fifo: fifo.depth, default=None)
        wires.append(
            Wire(
                id=len(wires),
                variable=_identifier(tensor, used),
                tensors=(tensor, *(node.outputs[0] for node in chain)),
                layer=layer,
                stream=stream,
                depth=sum(fifo.depth for fifo in fifos),
                storage=STORAGE.get(deepest.memory) if deepest else None,
            )
        )
    return wires


def _chain(tensor: str, following: dict[str, Node]) -> list[Node]:
    chain = []
    while tensor in following:
        chain.append(following[tensor])
        tensor = chain[-1].outputs[0]
    return chain


def _regions(nodes: list[Node], used: set[str]) -> list[Region]:
    regions, offset = [], 0
    for node in nodes:
        if node.kind == "WeightStationary":
            data = ddr_bytes(node.constants[0], node.op.pe, node.op.simd)
            data += bytes(-len(data) % DDR_ALIGNMENT)
            regions.append(Region(node.name, _identifier(f"{node.name}.weights", used), offset, data))
            offset += len(data)
    return regions


def _copy_with_includes(headers: list[str], folder: Path) -> None:
    """Copies headers and, of the same folder, those that they include."""
    pending, copied = list(headers), set()
    while pending:
        name = pending.pop()
        if name not in copied:
            copied.add(name)
            text = (hls_folder() / name).read_text(encoding="utf-8")
            (folder / name).write_text(text, encoding="utf-8")
            pending += re.findall(r'^#include "(\w+\.hpp)"', text, re.MULTILINE)


def _identifier(name: str, used: set[str]) -> str:
    """A C++ identifier like ``name`` that is not in ``used``, to which it is added."""
    word = re.sub(r"\W|^(?=\d)", "_", name, flags=re.ASCII).strip("_") or "unnamed"
    word = f"n{word}" if word[0].isdigit() else word
    candidate, number = word, 2
    while candidate in used:
        candidate, number = f"{word}_{number}", number + 1
    used.add(candidate)
    return candidate


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}{index}" for index in range(count)]


def _beat(stream: Stream) -> str:
    return f"flow::beat<{stream.parallel + stream.masked}, {stream.bits}>"


def _shape(wire: Wire) -> str:
    return f"{wire.stream.height}x{wire.stream.width}x{wire.stream.channels}"


def _stream_fields(stream: Stream) -> dict:
    names = ("height", "width", "channels", "parallel", "bits", "signed", "masked")
    return {name: getattr(stream, name) for name in names}


def _render(template: str, **values) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(**values)
