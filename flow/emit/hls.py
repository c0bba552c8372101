"""Writes a hardware graph as a Vitis HLS project that g++ compiles as well.

src/            the headers of the nodes that occur, the top function accelerator.cpp
src/tables/     constants, one file a layer
data/           ddr_weights.bin: 64-bit words for the layers whose weights are in DDR
tb/             testbench.cpp with images and the logits to compare
run_hls.tcl     C simulation, synthesis, cosimulation and export by Vitis HLS
manifest.json   SHA-256 and layer of every file; shape and number of every stream
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from deploy.frames import WORD_BYTES, padded, padded_bytes
from flow.emit.core import Names, Region, call_of, ddr_image, regions_of, render
from flow.errors import FlowError
from flow.golden import Golden
from flow.graph import Node, hardware_nodes
from flow.library import with_includes
from flow.nodes import Array, Process, Stream, Table
from flow.plan.hls_fifos import SHALLOW, fifo_of, join_depths
from flow.project import DDR_FILE, MANIFEST, empty_folder, write_manifest

CONTROL = "control"  # the bundle of the registers
WIDEST_BEAT = 4096  # bits of an ap_uint
DDR_ALIGNMENT = 128  # bytes: where a region of weights may start
MOST_MASTERS = 16  # that an AXI Interconnect joins to one port of the processor: each layer in DDR is one
STORAGE = {"distributed": "lutram", "block": "bram"}  # memory -> impl of BIND_STORAGE
ROMS = ("rom_1p", "rom_np")  # type of BIND_STORAGE, of one word a cycle and of several
OWN_HEADERS = Path(__file__).parent / "templates" / "hls"
TOP_VARIABLES = ("accelerator", "pixels", "logits", "frames", "frame", "flow", "nodes", "hls", "FrameWords", "Classes")
KEYWORDS = """and or not xor auto bool break case catch char class const continue default delete do double
    else enum explicit export extern false float for friend goto if inline int long mutable namespace new
    operator private protected public register return short signed sizeof static struct switch template this
    throw true try typedef union unsigned using virtual void volatile while""".split()


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
        """Its C++ type of a beat."""
        return _beat(self.stream)

    @property
    def tensor(self) -> str:
        """The tensor that its layer writes."""
        return self.tensors[0]

    def fifo(self) -> dict:
        """Return its depth and what keeps it: neither where it is as Vitis makes streams by itself."""
        return {"depth": max(self.depth, SHALLOW), "storage": self.storage if self.depth > SHALLOW else None}


@dataclass(frozen=True)
class Argument:
    """A pointer of the top to the weights of a layer."""

    region: Region
    argument: str

    @property
    def layer(self) -> str:
        return self.region.layer

    @property
    def word(self) -> int:
        """The 64-bit word of ddr_weights.bin at which they start."""
        return self.region.offset // WORD_BYTES

    @property
    def words(self) -> int:
        return self.region.words


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
    """Write the HLS project of a planned hardware graph into ``folder``, which is emptied first; return it.

    Args:
        images: uint8 [N, H, W, C] for the testbench; two random ones unless given.
        expected: their logits int32 [N, classes]; those of the golden model unless given.

    Raises:
        FlowError: a node has no HLS header, or attributes that its header does not take.
    """
    folder = Path(folder)
    project = _Project(model)  # before anything is removed
    empty_folder(folder, MANIFEST, "HLS project", ("src/tables", "tb"))
    if images is None:
        images = np.random.default_rng(0).integers(0, 256, (2, *project.image_shape), np.uint8)
    if expected is None:
        expected = Golden(model).execute(images)
    layers = project.write_sources(folder / "src")
    project.write_testbench(folder, images, expected)
    script = render(
        "hls",
        "run_hls.tcl",
        build_id=build_id,
        part=part,
        period=f"{1000 / clock_mhz:g}",
        sources=["src/accelerator.cpp"],
        testbench=[str(path) for path in project.testbench_files()],
    )
    (folder / "run_hls.tcl").write_text(script, encoding="utf-8")
    content = {"build_id": build_id, "part": part, "clock_mhz": clock_mhz, **project.description()}
    write_manifest(folder, content, layers)
    return folder


class _Project:
    """A graph with C++ identifiers for its layers and streams."""

    def __init__(self, model: ModelWrapper):
        every = list(hardware_nodes(model))
        self.image, self.output = model.graph.input[0].name, model.graph.output[0].name
        self.nodes = [node for node in every if not node.op.is_wire]
        self.calls = {node.name: call_of(node) for node in self.nodes}
        functions, variables = Names(KEYWORDS), Names({*KEYWORDS, *TOP_VARIABLES})
        self.functions = {node.name: functions.take(node.name, self._suffixes(node)) for node in self.nodes}
        self.regions = [
            Argument(region, variables.take(f"{region.layer}.weights"))
            for region in regions_of(self.nodes, DDR_ALIGNMENT)
        ]
        self.ddr = ddr_image([argument.region for argument in self.regions])
        depths = {tensor: (depth.beats, "distributed") for tensor, depth in join_depths(model).items()}
        self.wires = _wires(every, self.image, variables, depths | fifo_of(model))
        self._check_widths()
        self._check_masters()
        self.inner = {
            (node.name, part.name): variables.take(f"{node.name}.{part.name}")
            for node in self.nodes
            for part in (*self.calls[node.name].links, *self.calls[node.name].shared)
        }
        self.wire_of = {tensor: wire for wire in self.wires for tensor in wire.tensors}
        self.frame = self.wires[0].stream
        self.result = self.wire_of[self.output]
        self.frame_words = padded_bytes(self.frame.elements) // WORD_BYTES

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.frame.height, self.frame.width, self.frame.channels

    @property
    def classes(self) -> int:
        return self.result.stream.beats * self.result.stream.parallel

    def write_sources(self, folder: Path) -> dict[Path, str]:
        """Write src/; return the layer of each table."""
        headers = sorted({header for call in self.calls.values() for header in call.headers})
        for name, path in with_includes(["stream_types.hpp", *headers]).items():
            shutil.copyfile(path, folder / name)
        for name in ("axis.hpp", "dataflow.hpp"):
            shutil.copyfile(OWN_HEADERS / name, folder / name)
        layers = {}
        for node in self.nodes:
            if tables := self.calls[node.name].tables:
                path = folder / "tables" / f"{self.functions[node.name]}.hpp"
                arrays = "\n".join(cpp_array(table, self._table(node, table)) for table in tables)
                path.write_text(render("hls", "table.hpp", layer=node.name, kind=node.kind, arrays=arrays))
                layers[path] = node.name
        sizes = {"frame_words": self.frame_words, "classes": self.classes, "regions": self.regions}
        (folder / "accelerator.hpp").write_text(render("hls", "accelerator.hpp", **sizes))
        result = self.result.stream
        source = render(
            "hls",
            "accelerator.cpp",
            **sizes,
            headers=headers,
            tables=[path.relative_to(folder) for path in layers],
            processes=[process for node in self.nodes for process in self._processes(node)],
            streams=[self._stream_fields(wire) for wire in self.wires] + self._links(),
            shared=self._shared(),
            interfaces=self.interfaces(),
            image=self._image_fields(),
            result={"parallel": result.parallel, "bits": result.bits, "variable": self.result.variable},
        )
        (folder / "accelerator.cpp").write_text(source)
        return layers

    def write_testbench(self, folder: Path, images: np.ndarray, expected: np.ndarray) -> None:
        """Write tb/ and data/."""
        (folder / "tb" / "images.bin").write_bytes(padded(images).tobytes())
        (folder / "tb" / "expected_logits.bin").write_bytes(np.asarray(expected).astype("<i4").tobytes())
        source = render(
            "hls",
            "testbench.cpp",
            frame_words=self.frame_words,
            classes=self.classes,
            regions=self.regions,
            ddr_words=len(self.ddr) // WORD_BYTES,
        )
        (folder / "tb" / "testbench.cpp").write_text(source)
        if self.regions:
            (folder / "data").mkdir()
            (folder / "data" / DDR_FILE).write_bytes(self.ddr)

    def testbench_files(self) -> list[Path]:
        """Return the testbench and the files that it reads."""
        files = [Path("tb/testbench.cpp"), Path("tb/images.bin"), Path("tb/expected_logits.bin")]
        return files + [Path("data", DDR_FILE)] * bool(self.regions)

    def interfaces(self) -> list[dict]:
        """Return the interfaces of the top as INTERFACE pragmas name them: mode, port, bundle, further options."""
        found: list[dict] = [
            {"mode": "axis", "port": port, "bundle": "", "options": ""} for port in ("pixels", "logits")
        ]
        for region in self.regions:
            options = f" offset=slave depth={region.words} max_read_burst_length=16 num_read_outstanding=8"
            master = {"mode": "m_axi", "port": region.argument, "bundle": region.argument, "options": options}
            found += [master, {"mode": "s_axilite", "port": region.argument, "bundle": CONTROL, "options": ""}]
        found += [
            {"mode": "s_axilite", "port": port, "bundle": CONTROL, "options": ""} for port in ("frames", "return")
        ]
        return found

    def description(self) -> dict:
        """Return the part of the manifest that a simulator of the project reads."""
        return {
            "image": list(self.image_shape),
            "classes": self.classes,
            "interfaces": self.interfaces(),
            "regions": [argument.region.as_dict() for argument in self.regions],
            "processes": {
                self._function(node, process): node.name for node in self.nodes for process in self._steps(node)
            },
            "inner_streams": {f"{name}.{part}": name for name, part in self.inner},
            "streams": [
                {"id": wire.id, "tensors": wire.tensors, "layer": wire.layer, "depth": wire.fifo()["depth"]}
                | wire.stream.as_dict()
                for wire in self.wires
            ],
        }

    def _table(self, node: Node, table) -> str:
        return f"{self.functions[node.name]}_{table.suffix}"

    def _image_fields(self) -> dict:
        wire = self.wires[0]
        return {
            "variable": wire.variable,
            "id": wire.id,
            "parallel": wire.stream.parallel,
            "elements": self.frame.elements,
        }

    def _steps(self, node: Node) -> tuple[Process, ...]:
        return self.calls[node.name].all_processes(node.op.input_ports, node.op.output_ports)

    def _suffixes(self, node: Node) -> tuple[str, ...]:
        return tuple(f"_{process.suffix}" if process.suffix else "" for process in self._steps(node))

    def _function(self, node: Node, process: Process) -> str:
        return self.functions[node.name] + (f"_{process.suffix}" if process.suffix else "")

    def _check_widths(self) -> None:
        for wire in self.wires:
            if wire.stream.beat_bits > WIDEST_BEAT:
                raise FlowError(
                    f"{wire.layer or self.image}: a beat of {wire.stream.beat_bits} bits is wider than the "
                    f"{WIDEST_BEAT} of Vitis' ap_uint: lower p, pe or simd in the plan"
                )

    def _check_masters(self) -> None:
        if len(self.regions) > MOST_MASTERS:
            last = self.regions[-1].layer
            raise FlowError(
                f"{len(self.regions)} layers, up to {last}, read their weights from DDR, each as an AXI master of its "
                f"own in HLS, and a port of the processor takes {MOST_MASTERS}: set memory: block for some in the plan"
            )

    def _stream_fields(self, wire: Wire) -> dict:
        return {"type": wire.type, "variable": wire.variable, "name": wire.tensor, "id": wire.id, **wire.fifo()}

    def _links(self) -> list[dict]:
        """Return the streams inside of nodes; none of them is recorded."""
        return [
            {
                "type": f"ap_uint<{link.bits}>",
                "variable": self.inner[node.name, link.name],
                "name": f"{node.name}.{link.name}",
                "id": None,
                "depth": link.depth,
                "storage": STORAGE["distributed"] if link.depth > SHALLOW else None,
            }
            for node in self.nodes
            for link in self.calls[node.name].links
        ]

    def _shared(self) -> list[dict]:
        return [
            {
                "variable": self.inner[node.name, array.name],
                "extents": f"[{array.words}]",
                "type": f"ap_uint<{array.bits}>",
                "storage": STORAGE[array.memory],
            }
            for node in self.nodes
            for array in self.calls[node.name].shared
        ]

    def _processes(self, node: Node) -> list[dict]:
        """Return what the top says of each process of a node: its function, and the call of it."""
        call, found, filled = self.calls[node.name], [], set()
        streams = dict(zip((*node.op.input_ports, *node.op.output_ports), (*node.inputs, *node.outputs)))
        wires = {port: self.wire_of[tensor] for port, tensor in streams.items()}
        tables = {table.suffix: table for table in call.tables}
        links = {link.name: link for link in call.links}
        shared = {array.name: array for array in call.shared}
        own = {array.name: array for array in call.arrays}
        shapes = [", ".join(_shape(self.wire_of[name]) for name in names) for names in (node.inputs, node.outputs[:1])]
        for process in self._steps(node):
            signature, actuals = [], []
            for name in process.arguments:
                inner = self.inner.get((node.name, name))
                if name in wires:
                    signature.append(f"hls::stream<{wires[name].type}>& {name}")
                    actuals.append(wires[name].variable)
                elif name in links:
                    signature.append(f"hls::stream<ap_uint<{links[name].bits}>>& {name}")
                    actuals.append(inner)
                elif name in shared:
                    use = name in filled
                    filled.add(name)
                    array = shared[name]
                    signature.append(f"{'const ' * use}ap_uint<{array.bits}> (&{name})[{array.words}]")
                    actuals.append(f"FLOW_{'USE' if use else 'FILL'}({inner})")
                elif name == "ddr":
                    signature.append("const ap_uint<64>* ddr")
                    actuals += [region.argument for region in self.regions if region.layer == node.name]
            parameters = process.parameters
            mine = [table for name, table in tables.items() if name in process.arguments]
            found.append(
                {
                    "title": f"{node.name}: {' -> '.join(shapes)}",
                    "function": self._function(node, process),
                    "header_function": process.function,
                    "signature": ", ".join(signature),
                    "pragmas": [_bind(self._table(node, t), ROMS[t.ports > 1], t.memory) for t in mine if t.words > 1],
                    "arrays": [_declared(array) for name, array in own.items() if name in process.arguments],
                    "parameters": ", ".join(f"{name} {value}" for name, value in parameters.items()),
                    "template_arguments": ", ".join(map(str, parameters.values())),
                    "arguments": ", ".join(
                        self._table(node, tables[name]) if name in tables else name for name in process.arguments
                    ),
                    "actuals": ", ".join(actuals),
                }
            )
        return found


def _bind(variable: str, kind: str, memory: str) -> str:
    return f"BIND_STORAGE variable={variable} type={kind} impl={STORAGE[memory]}"


def _declared(array: Array) -> dict:
    """Return the declaration of a process's own memory, and its pragma."""
    text = f"ap_uint<{array.bits}> {array.name}[{array.words}]"
    return {"text": text, "pragma": _bind(array.name, "ram_s2p", array.memory)}


def _wires(nodes: list[Node], image: str, names: Names, fifos: dict[str, tuple[int, str]]) -> list[Wire]:
    """Return the streams of the top; ``fifos`` are depth and memory of those that hold more, by one of their
    tensors."""
    following = {node.inputs[0]: node for node in nodes if node.op.is_wire}
    first = next(stream for node in nodes for tensor, stream in node.input_streams().items() if tensor == image)
    made = [(image, "", first)]
    made += [
        (tensor, node.name, stream)
        for node in nodes
        if not node.op.is_wire
        for tensor, stream in node.output_streams().items()
    ]
    wires = []
    for tensor, layer, stream in made:
        chain = _chain(tensor, following)
        held = [fifos[name] for name in (tensor, *(node.outputs[0] for node in chain)) if name in fifos]
        depth, memory = max(held, default=(0, ""))
        wires.append(
            Wire(
                id=len(wires),
                variable=names.take(tensor),
                tensors=(tensor, *(node.outputs[0] for node in chain)),
                layer=layer,
                stream=stream,
                depth=depth,
                storage=STORAGE.get(memory),
            )
        )
    return wires


def _chain(tensor: str, following: dict[str, Node]) -> list[Node]:
    chain = []
    while tensor in following:
        chain.append(following[tensor])
        tensor = chain[-1].outputs[0]
    return chain


def _beat(stream: Stream) -> str:
    return f"flow::beat<{stream.parallel + stream.masked}, {stream.bits}>"


def _shape(wire: Wire) -> str:
    return f"{wire.stream.height}x{wire.stream.width}x{wire.stream.channels}"


def cpp_values(values: np.ndarray, indent: str = "") -> str:
    """Return a brace-enclosed initializer; unsigned numbers in hex, signed ones in decimal."""
    if values.ndim > 1:
        inner = indent + "    "
        rows = ",\n".join(inner + cpp_values(row, inner) for row in values)
        return f"{{\n{rows}}}"
    if values.dtype.kind == "u":
        digits = 2 * values.dtype.itemsize
        numbers = [f"0x{number:0{digits}x}" for number in values.tolist()]
    else:
        numbers = [str(number) for number in values.tolist()]
    per_line = max(1, 100 // (max(map(len, numbers)) + 2))
    lines = [", ".join(numbers[start : start + per_line]) for start in range(0, len(numbers), per_line)]
    return "{" + f",\n{indent} ".join(lines) + "}"


def cpp_array(table: Table, name: str) -> str:
    """Return the definition of ``table`` as a C++ constant with its layout as a comment."""
    extents = "".join(f"[{extent}]" for extent in table.values.shape)
    return f"// {table.layout}\nstatic const {table.ctype} {name}{extents} = {cpp_values(table.values)};\n"
