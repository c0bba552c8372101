"""Writes a hardware graph as an RTL project, for synthesis and for simulation alike.

rtl/            the modules that occur, the top module accelerator_top.sv
data/           memories for $readmemh, by plain file name; ddr_weights.bin: what software puts in DDR
manifest.json   SHA-256 and layer of every file; streams, layers, weight regions and registers of the accelerator
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import jinja2
from qonnx.core.modelwrapper import ModelWrapper

from flow.emit.memory_files import write_hex
from flow.emit.rtl_nodes import Cell, cell_of, input_ports, output_ports
from flow.emit.tables import ddr_bytes
from flow.errors import FlowError
from flow.graph import Node, hardware_nodes
from flow.ops import Stream
from flow.paths import rtl_folder
from flow.project import sha256

TOP = "accelerator_top"
TEMPLATES = Path(__file__).parent / "templates" / "rtl"
LAYER_KINDS = ("IntConv", "XnorPopcount", "WeightStationary")  # the layers that control counts
MAX_LAYERS, MAX_REGIONS = 64, 8
REGION_ALIGNMENT = 4096
BUS_BYTES = 8  # of s_axis
LOGIT_BITS = 32  # of m_axis
REGISTERS = {
    "CTRL": 0x00,
    "STATUS": 0x04,
    "FRAMES_IN": 0x08,
    "FRAMES_OUT": 0x0C,
    "CYCLES_LOW": 0x10,
    "CYCLES_HIGH": 0x14,
    "INTERVAL": 0x18,
    "LATENCY": 0x1C,
    "FRAMES_PER_PACKET": 0x20,
    "LAYERS": 0x24,
    "CLOCK_KHZ": 0x28,
    "BUILD_ID": 0x30,
    "WEIGHT_BASE": 0x40,
    "LAYER": 0x80,
}
KEYWORDS = """alias always always_comb always_ff always_latch and assert assign assume automatic before begin bind bins bit break
    buf byte case cell chandle class clocking config const constraint context continue cover cross deassign default defparam design disable
    dist do edge else end endcase endmodule enum event expect export extends extern final for force foreach forever fork forkjoin
    function generate genvar global highz if iff import include initial inout input inside instance int integer interface join large
    library local localparam logic longint matches medium modport module nand negedge new nor not null or output package
    packed parameter posedge primitive priority program property protected pull pure rand real ref reg release repeat return sequence
    shortint shortreal signed small solve specify static string strong struct super supply table tagged task this throughout time tran tri type
    typedef union unique unsigned use uwire var vectored virtual void wait wand weak while wildcard wire with within wor xnor
    xor""".split()
TOP_NAMES = """clk_i rst_ni taps_i enable core_rst_n axi_error packet_last frame_in_start frame_in_done frame_out_done weight_base
    layer_valid layer_ready in_beat_q out_beat_q out_last unused i_control i_weight_stream Layers FrameBeats Classes InBits OutBits
    BuildId stream_beat stream_state weight_words weight_valid weight_ready""".split()


@dataclass(frozen=True)
class Wire:
    """A stream of the top. ``tensor`` is None for those that are not in the graph; ``layer`` is the node that writes it."""

    variable: str
    width: int
    stream: Stream
    tensor: str | None = None
    layer: str = ""
    note: str = ""

    @property
    def shape(self) -> str:
        return f"{self.stream.height}x{self.stream.width}x{self.stream.channels}"

    @property
    def parallel(self) -> int:
        return self.stream.parallel

    @property
    def bits(self) -> int:
        return self.stream.bits


@dataclass(frozen=True)
class Instance:
    module: str
    name: str
    parameters: list[tuple[str, str]]
    ports: list[tuple[str, str]]
    title: str = ""
    reset: str = "core_rst_n"


@dataclass(frozen=True)
class Region:
    """The weights of a layer in ddr_weights.bin."""

    layer: str
    offset: int
    data: bytes
    word_bits: int  # of the layer's weight stream

    @property
    def words(self) -> int:
        return len(self.data) // 8


def emit_rtl(model: ModelWrapper, folder: Path, *, build_id: str, clock_mhz: float) -> Path:
    """Writes the RTL project of a planned hardware graph into ``folder``, which is emptied first; returns it.

    Args:
        build_id: 32 hex digits, read back by software.

    Raises:
        FlowError: a node has no RTL module, or the graph needs more than the top can give.
    """
    folder = Path(folder)
    if not re.fullmatch(r"[0-9a-fA-F]{32}", build_id):
        raise FlowError(f"build id {build_id!r} is not 32 hex digits")
    if folder.exists() and any(folder.iterdir()) and not (folder / "manifest.json").is_file():
        raise FlowError(f"{folder} is not empty and no RTL project: remove it or name another folder")
    project = _Project(model)  # before anything is removed
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("rtl", "data"):
        (folder / name).mkdir(parents=True)
    layers = project.write_data(folder / "data")
    top = project.top(build_id, clock_mhz)
    (folder / "rtl" / f"{TOP}.sv").write_text(top, encoding="utf-8")
    for module in modules_of(top):
        shutil.copyfile(rtl_folder() / f"{module}.sv", folder / "rtl" / f"{module}.sv")
    manifest = {"build_id": build_id.lower(), "clock_mhz": clock_mhz, "top": TOP, **project.description()}
    manifest["files"] = {
        str(path.relative_to(folder)): {"sha256": sha256(path.read_bytes()), "layer": layers.get(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return folder


def modules_of(top: str) -> list[str]:
    """The modules of rtl/ that the source text ``top`` instantiates, directly or not."""
    known = {path.stem: path for path in rtl_folder().glob("*.sv")}
    found, pending = set(), [top]
    while pending:
        code = re.sub(r"//.*", "", pending.pop())
        used = set(re.findall(r"^\s*(\w+)\s+(?:#\s*\(|\w+\s*\()", code, re.MULTILINE)) & known.keys()
        pending += [known[module].read_text(encoding="utf-8") for module in used - found]
        found |= used
    return sorted(found)


class _Project:
    """A graph with SystemVerilog names for its nodes and streams."""

    def __init__(self, model: ModelWrapper):
        self.image, self.output = model.graph.input[0].name, model.graph.output[0].name
        self.nodes = list(hardware_nodes(model))
        self.cells = {node.name: cell_of(node) for node in self.nodes}
        self.used = {*KEYWORDS, *TOP_NAMES}
        self.names = {node.name: self._name(node.name) for node in self.nodes}
        self.wires = {wire.tensor: wire for wire in self._graph_wires()}
        self.frame, self.result = self.wires[self.image].stream, self.wires[self.output].stream
        self.classes = self.result.height * self.result.width * self.result.channels
        self.frame_bytes = self.frame.height * self.frame.width * self.frame.channels
        self.layers = [node for node in self.nodes if node.kind in LAYER_KINDS]
        self.regions = self._regions()
        self._check()
        self.region_wires = [
            self._wire(f"{region.layer}_ddr", Stream(1, 1, 64 * region.words, 64, 1), note=f"region {index}")
            for index, region in enumerate(self.regions)
        ]
        self.extra_wires = list(self.region_wires)  # streams that are not in the graph
        self.instances = [*self._pixel_instances(), *self._node_instances(), *self._logit_instances()]

    def _check(self) -> None:
        if self.frame.bits != 8 or self.frame_bytes % BUS_BYTES:
            size = f"{self.frame_bytes} x {self.frame.bits} bits"
            raise FlowError(f"{self.image}: a frame must be whole 64-bit words of bytes, not {size}")
        if self.result.bits > LOGIT_BITS:
            raise FlowError(f"{self.output}: logits of {self.result.bits} bits do not fit the {LOGIT_BITS} of m_axis")
        if len(self.layers) > MAX_LAYERS:
            raise FlowError(f"{len(self.layers)} layers: control counts at most {MAX_LAYERS}")
        if len(self.regions) > MAX_REGIONS:
            raise FlowError(f"{len(self.regions)} layers have weights in DDR: the top takes at most {MAX_REGIONS}")

    # names and streams

    def _name(self, name: str, suffixes: tuple[str, ...] = ("",)) -> str:
        """A SystemVerilog identifier like ``name`` which, with each of ``suffixes``, is not used yet."""
        word = re.sub(r"\W", "_", name, flags=re.ASCII).strip("_") or "unnamed"
        word = f"n{word}" if word[0].isdigit() else word
        candidate, number = word, 2
        while any(candidate + suffix in self.used for suffix in suffixes):
            candidate, number = f"{word}_{number}", number + 1
        self.used.update(candidate + suffix for suffix in suffixes)
        return candidate

    def _wire(self, name: str, stream: Stream, **fields) -> Wire:
        variable = self._name(name, ("_data", "_valid", "_ready", "_taken"))
        return Wire(variable, stream.beat_bits, stream, **fields)

    def _graph_wires(self) -> Iterator[Wire]:
        yield self._wire(self.image, self.nodes[0].op.inputs()[0], tensor=self.image)
        for node in self.nodes:
            for tensor, stream in node.output_streams().items():
                yield self._wire(tensor, stream, tensor=tensor, layer=node.name)

    # instances

    def _pixel_instances(self) -> list[Instance]:
        """From the 64-bit pixel bus to the beats of the first node."""
        frame, p = self.frame, self.frame.parallel
        bus = self._wire("pixel_bus", Stream(1, 1, self.frame_bytes, BUS_BYTES, 8, signed=False), note="s_axis")
        self.pixels = bus.variable
        self.extra_wires.append(bus)
        target, steps = self.wires[self.image], [p]
        if max(p, BUS_BYTES) % min(p, BUS_BYTES):
            steps.insert(0, math.gcd(p, BUS_BYTES))
        instances, source = [], bus
        for step in steps:
            last = len(instances) == len(steps) - 1
            sink = target if last else self._wire("pixel_bytes", replace(frame, parallel=step))
            if not last:
                self.extra_wires.append(sink)
            instances.append(self._converter("i_pixels" if last else "i_pixel_bytes", source, sink))
            source = sink
        return instances

    def _logit_instances(self) -> list[Instance]:
        """One logit a beat, and a register that keeps the ready of m_axis out of the network."""
        source, instances = self.wires[self.output], []
        if self.result.parallel > 1:
            sink = self._wire("logit", Stream(1, 1, self.classes, 1, self.result.bits))
            self.extra_wires.append(sink)
            instances.append(self._converter("i_logit", source, sink))
            source = sink
        sink = self._wire("logit_queue", Stream(1, 1, self.classes, 1, self.result.bits), note="m_axis")
        self.extra_wires.append(sink)
        cell = Cell("fifo", {"Width": self.result.bits, "Depth": 2, "MemoryStyle": "distributed"})
        ports = _ports("in", source, "io") + _ports("out", sink, "oi")
        instances.append(Instance("fifo", self._name("i_logit_queue"), _parameters(cell), ports))
        self.logits = sink.variable
        return instances

    def _converter(self, name: str, source: Wire, sink: Wire) -> Instance:
        cell = Cell(
            "width_converter", {"InElements": source.parallel, "OutElements": sink.parallel, "Bits": source.bits}
        )
        ports = _ports("in", source, "io") + _ports("out", sink, "oi")
        return Instance("width_converter", self._name(name), _parameters(cell), ports)

    def _node_instances(self) -> Iterator[Instance]:
        if self.regions:
            yield self._weight_stream()
        for node in self.nodes:
            cell, name = self.cells[node.name], self.names[node.name]
            ports = []
            for port, tensor in zip(input_ports(node), node.inputs, strict=True):
                ports += _ports(port, self.wires[tensor], "io", cell.extend)
            if node.kind == "WeightStationary":
                weights = yield from self._weights(node)
                ports += _ports("weight", weights, "io")
            for port, tensor in zip(output_ports(node), node.outputs, strict=True):
                ports += _ports(port, self.wires[tensor], "oi")
            files = [(memory.parameter, f'"{self._file(node, memory)}"') for memory in cell.memories]
            inputs, outputs = (
                [self.wires[tensor].shape for tensor in tensors] for tensors in (node.inputs, node.outputs)
            )
            title = f"{node.name} ({node.kind}): {', '.join(inputs)} -> {outputs[0]}"
            yield Instance(cell.module, name, _parameters(cell) + files, ports, title)

    def _weights(self, node: Node) -> Iterator[Instance]:
        """The weight words of a region, cut or joined to those of its layer; returns their wire."""
        region, source = next(pair for pair in zip(self.regions, self.region_wires) if pair[0].layer == node.name)
        sink = self._wire(f"{node.name}_weights", Stream(1, 1, 64 * region.words, region.word_bits, 1))
        self.extra_wires.append(sink)
        yield self._converter(f"i_{node.name}_weights", source, sink)
        return sink

    def _weight_stream(self) -> Instance:
        words = ", ".join(f"32'd{region.words}" for region in reversed(self.regions))
        axi = "arid araddr arlen arsize arburst arprot arcache arvalid arready rid rdata rresp rlast rvalid rready".split()
        ports = [("enable_i", "enable"), ("base_i", "weight_base"), ("error_o", "axi_error")]
        for signal, way in (("data", "o"), ("valid", "o"), ("ready", "i")):
            parts = [f"{wire.variable}_{signal}" for wire in reversed(self.region_wires)]
            ports.append((f"out_{signal}_{way}", f"{{{', '.join(parts)}}}"))
        ports += [(f"m_axi_{name}", f"m_axi_{name}") for name in axi]
        parameters = [("Ports", str(len(self.regions))), ("WordsPerFrame", f"{{{words}}}")]
        return Instance("weight_stream", "i_weight_stream", parameters, ports, "weights from DDR", "rst_ni")

    def top(self, build_id: str, clock_mhz: float) -> str:
        """The text of the top module."""
        graph_wires = list(self.wires.values())
        layers = [
            {"name": node.name, "beats": node.op.outputs()[0].beats, "stream": self.wires[node.outputs[0]].variable}
            for node in self.layers
        ]
        return _render(
            "accelerator_top.sv.j2",
            build_id=build_id,
            frame_bytes=self.frame_bytes,
            classes=self.classes,
            regions=self.regions,
            ports=max(1, len(self.regions)),
            clock_khz=round(clock_mhz * 1000),
            streams=graph_wires + self.extra_wires,
            layers=layers,
            instances=self.instances,
            pixels=self.pixels,
            logits=self.logits,
            logit_bits=LOGIT_BITS,
            taps=[
                {"id": index, "variable": wire.variable, "words": _tap_words(wire)}
                for index, wire in enumerate(graph_wires)
            ],
        )

    # data

    def _file(self, node: Node, memory) -> str:
        return f"{self.names[node.name]}_{memory.suffix}.hex"

    def _regions(self) -> list[Region]:
        regions, offset = [], 0
        for node in self.nodes:
            if node.kind == "WeightStationary":
                op, word = node.op, node.op.pe * node.op.simd
                if op.weight_bits % 64 or max(word, 64) % min(word, 64):
                    raise FlowError(
                        f"{node.name}: weights from DDR need pe * simd to divide 64 or be a multiple of it, not {word}, and be "
                        f"whole 64-bit words, not {op.weight_bits} bits"
                    )
                regions.append(Region(node.name, offset, ddr_bytes(node.constants[0], op.pe, op.simd), word))
                offset += -(-len(regions[-1].data) // REGION_ALIGNMENT) * REGION_ALIGNMENT
        return regions

    def write_data(self, folder: Path) -> dict[Path, str]:
        """Writes the memories and the DDR image; returns the layer of each memory."""
        layers = {}
        for node in self.nodes:
            for memory in self.cells[node.name].memories:
                path = folder / self._file(node, memory)
                write_hex(path, memory.words, memory.width)
                layers[path] = node.name
        if self.regions:
            image = bytearray()
            for region in self.regions:
                image += bytes(region.offset - len(image)) + region.data
            (folder / "ddr_weights.bin").write_bytes(bytes(image))
        return layers

    def description(self) -> dict:
        """What software and a simulator of the project must know, for the manifest."""
        return {
            "image": [self.frame.height, self.frame.width, self.frame.channels],
            "classes": self.classes,
            "cycles_per_frame": max(node.op.cycles() for node in self.nodes),
            "registers": REGISTERS,
            "layers": [
                {"layer": node.name, "tensor": node.outputs[0], "cycles": node.op.cycles()} for node in self.layers
            ],
            "regions": [
                {
                    "layer": region.layer,
                    "offset": region.offset,
                    "words_per_frame": region.words,
                    "bytes": len(region.data),
                    "sha256": sha256(region.data),
                }
                for region in self.regions
            ],
            "streams": [
                {
                    "id": index,
                    "tensor": wire.tensor,
                    "layer": wire.layer,
                    "variable": wire.variable,
                    **_stream_fields(wire.stream),
                }
                for index, wire in enumerate(self.wires.values())
            ],
        }


def _parameters(cell: Cell) -> list[tuple[str, str]]:
    return [(name, f'"{value}"' if isinstance(value, str) else str(value)) for name, value in cell.parameters.items()]


def _ports(port: str, wire: Wire, ways: str, extend: int = 0) -> list[tuple[str, str]]:
    """The three ports of a stream; ``ways`` are the suffixes of data and valid, and of ready."""
    forward, backward = ways
    data = _extended(wire, extend) if extend else f"{wire.variable}_data"
    return [
        (f"{port}_data_{forward}", data),
        (f"{port}_valid_{forward}", f"{wire.variable}_valid"),
        (f"{port}_ready_{backward}", f"{wire.variable}_ready"),
    ]


def _extended(wire: Wire, extend: int) -> str:
    """The beat with every element sign-extended by ``extend`` bits."""
    data, bits = f"{wire.variable}_data", wire.bits
    elements = [
        f"{{{extend}{{{data}[{(i + 1) * bits - 1}]}}}}, {data}[{i * bits}+:{bits}]"
        for i in reversed(range(wire.parallel))
    ]
    return f"{{{', '.join(elements)}}}"


def _tap_words(wire: Wire) -> list[str]:
    """The beat as 64-bit words, low word first."""
    if wire.width <= 64:
        return [f"64'({wire.variable}_data)"]
    return [f"64'({wire.variable}_data[{min(low + 63, wire.width - 1)}:{low}])" for low in range(0, wire.width, 64)]


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
