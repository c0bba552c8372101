"""Writes a hardware graph as an RTL project, for synthesis and for simulation alike.

rtl/            the modules that occur, the top module accelerator_top.sv
data/           memories for $readmemh, by plain file name; ddr_weights.bin: what software puts in DDR
manifest.json   SHA-256 and layer of every file; streams, layers, weight regions and registers of the accelerator
"""

from __future__ import annotations

import itertools
import math
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper

from deploy import registers
from deploy.frames import WORD_BYTES, padded_bytes
from flow.emit.core import Names, cell_of, ddr_image, regions_of, render
from flow.emit.ports import top_ports
from flow.errors import FlowError
from flow.graph import Node, hardware_nodes
from flow.library import with_submodules
from flow.nodes import Cell, Stream
from flow.nodes.fifo import Fifo
from flow.nodes.width_converter import WidthConverter
from flow.project import DDR_FILE, MANIFEST, empty_folder, write_manifest

TOP = "accelerator_top"
TOP_MODULES = ("control",)  # modules that the template instantiates beside those of the nodes
REGION_ALIGNMENT = 4096
LOGIT_BITS = 32  # of m_axis
KEYWORDS = """alias always always_comb always_ff always_latch and assert assign assume automatic before begin
    bind bins bit break buf byte case cell chandle class clocking config const constraint context continue
    cover cross deassign default defparam design disable dist do edge else end endcase endmodule enum event
    expect export extends extern final for force foreach forever fork forkjoin function generate genvar global
    highz if iff import include initial inout input inside instance int integer interface join large library
    local localparam logic longint matches medium modport module nand negedge new nor not null or output
    package packed parameter posedge primitive priority program property protected pull pure rand real ref reg
    release repeat return sequence shortint shortreal signed small solve specify static string strong struct
    super supply table tagged task this throughout time tran tri type typedef union unique unsigned use uwire
    var vectored virtual void wait wand weak while wildcard wire with within wor xnor xor""".split()
TOP_NAMES = """clk_i rst_ni taps_i enable core_rst_n axi_error packet_last frame_in_start frame_in_done
    frame_out_done weight_base layer_valid layer_ready in_beat_q out_beat_q out_last unused i_control
    i_weight_stream Layers FrameBeats Classes InBits OutBits BuildId stream_asserts stream_beat stream_state
    weight_words weight_valid weight_ready""".split()


@dataclass(frozen=True)
class Wire:
    """A stream of the top. ``tensor`` is None for those that are not in the graph; ``layer`` is the node that writes
    it."""

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
    """A module instance of the top; ``parameters`` and ``ports`` are (name, SystemVerilog text)."""

    module: str
    name: str
    parameters: list[tuple[str, str]]
    ports: list[tuple[str, str]]
    title: str = ""
    reset: str = "core_rst_n"


def emit_rtl(model: ModelWrapper, folder: Path, *, build_id: str, clock_mhz: float) -> Path:
    """Write the RTL project of a planned hardware graph into ``folder``, which is emptied first; return it.

    Args:
        build_id: 32 hex digits, read back by software.

    Raises:
        FlowError: a node has no RTL module, or the graph needs more than the top can give.
    """
    folder = Path(folder)
    if not re.fullmatch(r"[0-9a-fA-F]{32}", build_id):
        raise FlowError(f"build id {build_id!r} is not 32 hex digits")
    project = _Project(model)  # before anything is removed
    empty_folder(folder, MANIFEST, "RTL project", ("rtl", "data"))
    layers = project.write_data(folder / "data")
    (folder / "rtl" / f"{TOP}.sv").write_text(project.top(build_id, clock_mhz), encoding="utf-8")
    sources = with_submodules({*TOP_MODULES, *(instance.module for instance in project.instances)})
    for module, path in sources.items():
        shutil.copyfile(path, folder / "rtl" / f"{module}.sv")
    content = {"build_id": build_id.lower(), "clock_mhz": clock_mhz, "top": TOP, "modules": list(sources)}
    write_manifest(folder, {**content, **project.description()}, layers)
    return folder


class _Project:
    """A graph with SystemVerilog names for its nodes and streams."""

    def __init__(self, model: ModelWrapper):
        self.image, self.output = model.graph.input[0].name, model.graph.output[0].name
        self.nodes = list(hardware_nodes(model))
        self.cells = {node.name: cell_of(node) for node in self.nodes}
        self.identifiers = Names({*KEYWORDS, *TOP_NAMES})
        self.names = {node.name: self.identifiers.take(node.name) for node in self.nodes}
        self.wires = {wire.tensor: wire for wire in self._graph_wires()}
        self.frame, self.result = self.wires[self.image].stream, self.wires[self.output].stream
        self.classes = self.result.height * self.result.width * self.result.channels
        self.frame_bytes = self.frame.height * self.frame.width * self.frame.channels
        self.layers = [node for node in self.nodes if node.op.engine]
        self.regions = regions_of(self.nodes, REGION_ALIGNMENT)
        self._check()
        self.ports = top_ports(ddr=bool(self.regions))
        self.region_wires = [
            self._wire(f"{region.layer}_ddr", Stream(1, 1, 64 * region.words, 64, 1), note=f"region {index}")
            for index, region in enumerate(self.regions)
        ]
        self.extra_wires = list(self.region_wires)  # streams that are not in the graph
        self.instances = [*self._pixel_instances(), *self._node_instances(), *self._logit_instances()]

    def _check(self) -> None:
        if self.frame.bits != 8:
            raise FlowError(f"{self.image}: a frame must be bytes, not elements of {self.frame.bits} bits")
        if self.result.bits > LOGIT_BITS:
            raise FlowError(f"{self.output}: logits of {self.result.bits} bits do not fit the {LOGIT_BITS} of m_axis")
        if len(self.layers) > registers.MAX_LAYERS:
            raise FlowError(f"{len(self.layers)} layers: control counts at most {registers.MAX_LAYERS}")
        if len(self.regions) > registers.MAX_REGIONS:
            most = registers.MAX_REGIONS
            raise FlowError(f"{len(self.regions)} layers have weights in DDR: the top takes at most {most}")

    # names and streams

    def _wire(self, name: str, stream: Stream, **fields) -> Wire:
        variable = self.identifiers.take(name, ("_data", "_valid", "_ready", "_taken"))
        return Wire(variable, stream.beat_bits, stream, **fields)

    def _graph_wires(self) -> Iterator[Wire]:
        yield self._wire(self.image, self.nodes[0].op.inputs()[0], tensor=self.image)
        for node in self.nodes:
            for tensor, stream in node.output_streams().items():
                yield self._wire(tensor, stream, tensor=tensor, layer=node.name)

    # instances

    def _pixel_instances(self) -> list[Instance]:
        """Return what makes beats of the first node of the words of the pixel bus: converters, and what drops padding
        in the last word of a frame."""
        frame, p, padded = self.frame, self.frame.parallel, padded_bytes(self.frame_bytes)
        bus = self._wire("pixel_bus", Stream(1, 1, padded, WORD_BYTES, 8, signed=False), note="s_axis")
        self.pixels = bus.variable
        common = math.gcd(p, WORD_BYTES)  # bytes a beat where the padding is dropped: it divides frame and padding
        wires = [bus]
        pads = padded > self.frame_bytes
        if pads:
            wires.append(self._wire("padded_bytes", Stream(1, 1, padded, common, 8, signed=False)))
        if p > common if pads else max(p, WORD_BYTES) % min(p, WORD_BYTES):
            wires.append(self._wire("pixel_bytes", replace(frame, parallel=common)))
        self.extra_wires += wires
        wires.append(self.wires[self.image])
        return [self._pixel_instance(source, sink) for source, sink in itertools.pairwise(wires)]

    def _pixel_instance(self, source: Wire, sink: Wire) -> Instance:
        if source.stream.elements == sink.stream.elements:
            last = sink is self.wires[self.image]
            return self._converter("i_pixels" if last else f"i_{sink.variable}", source, sink)
        beats = {"TakenBeats": source.stream.beats, "GivenBeats": sink.stream.beats, "Bits": source.width}
        parameters = [(name, str(value)) for name, value in beats.items()]
        ports = _ports("in", source, "io") + _ports("out", sink, "oi")
        return Instance("frame_padding", self.identifiers.take("i_frame_padding"), parameters, ports)

    def _logit_instances(self) -> list[Instance]:
        """Return a converter to one logit a beat, and a FIFO that keeps the ready of m_axis out of the network."""
        source, instances = self.wires[self.output], []
        if self.result.parallel > 1:
            sink = self._wire("logit", Stream(1, 1, self.classes, 1, self.result.bits))
            self.extra_wires.append(sink)
            instances.append(self._converter("i_logit", source, sink))
            source = sink
        sink = self._wire("logit_queue", Stream(1, 1, self.classes, 1, self.result.bits), note="m_axis")
        self.extra_wires.append(sink)
        cell = Fifo(height=1, width=1, channels=self.classes, bits=self.result.bits, depth=2).rtl()
        ports = _ports("in", source, "io") + _ports("out", sink, "oi")
        instances.append(Instance("fifo", self.identifiers.take("i_logit_queue"), _parameters(cell), ports))
        self.logits = sink.variable
        return instances

    def _converter(self, name: str, source: Wire, sink: Wire) -> Instance:
        size = {"height": 1, "width": 1, "channels": source.stream.elements}
        cell = WidthConverter(**size, p=source.parallel, out_p=sink.parallel, bits=source.bits).rtl()
        ports = _ports("in", source, "io") + _ports("out", sink, "oi")
        return Instance(cell.module, self.identifiers.take(name), _parameters(cell), ports)

    def _node_instances(self) -> Iterator[Instance]:
        if self.regions:
            yield self._weight_stream()
        for node in self.nodes:
            cell, name = self.cells[node.name], self.names[node.name]
            ports = []
            for port, tensor in zip(node.op.input_ports, node.inputs, strict=True):
                ports += _ports(port, self.wires[tensor], "io", cell.extend)
            if node.op.ddr_words:
                weights = yield from self._weights(node)
                ports += _ports("weight", weights, "io")
            for port, tensor in zip(node.op.output_ports, node.outputs, strict=True):
                ports += _ports(port, self.wires[tensor], "oi")
            files = [(memory.parameter, f'"{self._file(node, memory)}"') for memory in cell.memories]
            inputs, outputs = (
                [self.wires[tensor].shape for tensor in tensors] for tensors in (node.inputs, node.outputs)
            )
            title = f"{node.name} ({node.kind}): {', '.join(inputs)} -> {outputs[0]}"
            yield Instance(cell.module, name, _parameters(cell) + files, ports, title)

    def _weights(self, node: Node) -> Iterator[Instance]:
        """Yield the converter from the words of a region to those of its layer; return the wire of those."""
        region, source = next(pair for pair in zip(self.regions, self.region_wires) if pair[0].layer == node.name)
        sink = self._wire(f"{node.name}_weights", Stream(1, 1, 64 * region.words, node.op.ddr_word_bits, 1))
        self.extra_wires.append(sink)
        yield self._converter(f"i_{node.name}_weights", source, sink)
        return sink

    def _weight_stream(self) -> Instance:
        words = ", ".join(f"32'd{region.words}" for region in reversed(self.regions))
        axi = (
            "arid araddr arlen arsize arburst arprot arcache arvalid arready rid rdata rresp rlast rvalid rready"
        ).split()
        ports = [("enable_i", "enable"), ("base_i", "weight_base"), ("error_o", "axi_error")]
        for signal, way in (("data", "o"), ("valid", "o"), ("ready", "i")):
            parts = [f"{wire.variable}_{signal}" for wire in reversed(self.region_wires)]
            ports.append((f"out_{signal}_{way}", f"{{{', '.join(parts)}}}"))
        ports += [(f"m_axi_{name}", f"m_axi_{name}") for name in axi]
        parameters = [("Ports", str(len(self.regions))), ("WordsPerFrame", f"{{{words}}}")]
        return Instance("weight_stream", "i_weight_stream", parameters, ports, "weights from DDR", "rst_ni")

    def top(self, build_id: str, clock_mhz: float) -> str:
        """Return the text of the top module."""
        graph_wires = list(self.wires.values())
        layers = [
            {"name": node.name, "beats": node.op.outputs()[0].beats, "stream": self.wires[node.outputs[0]].variable}
            for node in self.layers
        ]
        return render(
            "rtl",
            "accelerator_top.sv",
            top_ports=self.ports,
            build_id=build_id,
            frame_bytes=self.frame_bytes,
            frame_words=padded_bytes(self.frame_bytes) // WORD_BYTES,
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

    def write_data(self, folder: Path) -> dict[Path, str]:
        """Write the memories and the DDR image; return the layer of each memory."""
        layers = {}
        for node in self.nodes:
            for memory in self.cells[node.name].memories:
                path = folder / self._file(node, memory)
                write_hex(path, memory.words, memory.width)
                layers[path] = node.name
        if self.regions:
            (folder / DDR_FILE).write_bytes(ddr_image(self.regions))
        return layers

    def description(self) -> dict:
        """Return the part of the manifest that software and a simulator of the project read."""
        return {
            "image": [self.frame.height, self.frame.width, self.frame.channels],
            "classes": self.classes,
            "cycles_per_frame": max(node.op.cycles() for node in self.nodes),
            "ports": [port.as_dict() for port in self.ports],
            "registers": registers.OFFSETS,
            "layers": [
                {"layer": node.name, "tensor": node.outputs[0], "cycles": node.op.cycles()} for node in self.layers
            ],
            "regions": [region.as_dict() for region in self.regions],
            "streams": [
                {
                    "id": index,
                    "tensor": wire.tensor,
                    "layer": wire.layer,
                    "variable": wire.variable,
                    **wire.stream.as_dict(),
                }
                for index, wire in enumerate(self.wires.values())
            ],
        }


def _parameters(cell: Cell) -> list[tuple[str, str]]:
    return [(name, f'"{value}"' if isinstance(value, str) else str(value)) for name, value in cell.parameters.items()]


def _ports(port: str, wire: Wire, ways: str, extend: int = 0) -> list[tuple[str, str]]:
    """Return the three ports of a stream; ``ways`` are the suffixes of data and valid, and of ready."""
    forward, backward = ways
    data = _extended(wire, extend) if extend else f"{wire.variable}_data"
    return [
        (f"{port}_data_{forward}", data),
        (f"{port}_valid_{forward}", f"{wire.variable}_valid"),
        (f"{port}_ready_{backward}", f"{wire.variable}_ready"),
    ]


def _extended(wire: Wire, extend: int) -> str:
    """Return the beat with every element sign-extended by ``extend`` bits."""
    data, bits = f"{wire.variable}_data", wire.bits
    elements = [
        f"{{{extend}{{{data}[{(i + 1) * bits - 1}]}}}}, {data}[{i * bits}+:{bits}]"
        for i in reversed(range(wire.parallel))
    ]
    return f"{{{', '.join(elements)}}}"


def _tap_words(wire: Wire) -> list[str]:
    """Return the beat as 64-bit words, low word first."""
    if wire.width <= 64:
        return [f"64'({wire.variable}_data)"]
    return [f"64'({wire.variable}_data[{min(low + 63, wire.width - 1)}:{low}])" for low in range(0, wire.width, 64)]


def write_hex(path: Path | str, words: Sequence[int], width_bits: int) -> None:
    """Write one word a line, in hex, zero-padded to ceil(width_bits / 4) digits, as $readmemh reads them.

    Raises:
        ValueError: a word is negative or wider than `width_bits`.
    """
    for index, word in enumerate(words):
        if not 0 <= word < 1 << width_bits:
            raise ValueError(f"{path}: word {index} is not an unsigned number of {width_bits} bits")
    digits = -(-width_bits // 4)
    Path(path).write_text("".join(f"{word:0{digits}x}\n" for word in words), encoding="ascii")
