"""Simulates the netlist of an RTL project in Verilator, on images: what is synthesised against the golden model.

The netlists of all distinct parts, and that of the top around them, are one design again; primitives.sv has the models
of what they consist of. It is driven over its buses as the RTL is (`flow.sim.rtl`), and its streams are recorded.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flow.errors import FlowError, VerificationError
from flow.golden import Golden
from flow.nodes import Stream
from flow.project import read_manifest
from flow.sim.compare import first_difference
from flow.sim.rtl import RtlAccelerator, RtlResult

from .netlist import read_netlist
from .parts import Design, Part
from .verilog import HEADER, MODELS, verilog

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

TOP = "netlist_top"  # the top's netlist, inside the accelerator_top that records streams
RUNNING = "core_rst_n"  # the net of the top that is 0 while the accelerator is in reset
WORD_BITS = 64  # of a recorded stream
WRAPPER = """\
module {name} (
    input logic [2:0] taps_i,
{ports}
);
  import "DPI-C" function void stream_beat(input int id, input longint unsigned word);
  import "DPI-C" function void stream_state(input int id, input int valid, input int ready);

{wires}
  {top} netlist (.*);

  always_ff @(posedge clk_i) begin
    if (taps_i[0] && {running}) begin
{beats}
    end
    if (taps_i[1]) begin
{states}
    end
  end
endmodule
"""


@dataclass(frozen=True)
class Tap:
    """A stream that is recorded: its number, the names of its nets in the top, and the bits of a beat."""

    id: int
    variable: str
    bits: int

    @property
    def nets(self) -> tuple[str, str, str]:
        """Names of data, valid and ready."""
        return f"{self.variable}_data", f"{self.variable}_valid", f"{self.variable}_ready"


def netlist_accelerator(project: Path, design: Design, netlists: dict[Part, Path]) -> RtlAccelerator:
    """Return the accelerator of ``project`` as its netlists are, in Verilator.

    Args:
        netlists: the folder of every part's netlist.

    Raises:
        FlowError: a netlist has a cell that is not modelled.
        RtlError: no Verilator or g++, or a primitive with settings that are not modelled.
    """
    with tempfile.TemporaryDirectory(prefix="flow-netlist-") as name:
        loaded = {part: read_netlist(folder) for part, folder in netlists.items()}
        sources = write_sources(Path(name), design, loaded, read_manifest(project)["streams"])
        return RtlAccelerator(project, sources=sources)


def write_sources(folder: Path, design: Design, netlists: dict[Part, dict], streams: list[dict]) -> list[Path]:
    """Write the netlists of a design into ``folder``; return the files that Verilator reads, the top first."""
    taps = [Tap(row["id"], row["variable"], Stream.from_dict(row).beat_bits) for row in streams]
    parts = [part for part in netlists if part is not design.glue]
    tops = {part: f"netlist_{index}" for index, part in enumerate(parts)}
    instances = {name: tops[part] for name, part in design.instances.items()}
    glue = _with_outputs(netlists[design.glue], design.glue.top, [RUNNING, *(net for tap in taps for net in tap.nets)])
    texts = [verilog(glue, design.glue.top, TOP, instances)]
    texts += [verilog(netlists[part], part.top, tops[part]) for part in parts]
    body = folder / "netlists.sv"
    body.write_text(HEADER + "\n".join(texts), encoding="utf-8")
    top = folder / f"{design.name}.sv"
    top.write_text(HEADER + _wrapper(design.name, netlists[design.glue]["modules"][design.glue.top], taps))
    return [top, body, MODELS]


def compare(accelerator: RtlAccelerator, model: ModelWrapper, images: np.ndarray) -> RtlResult:
    """Run images uint8 [N, H, W, C] through the netlist, and return the result if it is that of the hardware graph
    ``model``.

    Raises:
        VerificationError: a stream or a logit differs; names the first.
    """
    streams: dict[str, np.ndarray] = {}
    logits = Golden(model).execute(images, streams)
    result = accelerator.execute(images, record=True)
    difference = first_difference(streams, result.streams, accelerator.order)
    if difference is None:
        difference = first_difference({"logits": logits}, {"logits": result.logits}, ["logits"])
    if difference is not None:
        layer = accelerator.order.get(difference.tensor)
        where = f"layer {layer}: stream " if layer else ""
        raise VerificationError(f"the netlist differs from the golden model: {where}{difference}")
    return result


def _with_outputs(netlist: dict, top: str, nets: list[str]) -> dict:
    """Return the netlist with ``nets`` of its module ``top`` as output ports, too."""
    module = netlist["modules"][top]
    missing = [net for net in nets if net not in module["netnames"]]
    if missing:
        raise FlowError(f"the netlist of {top} has no net {missing[0]}: please report it")
    added = {net: {"direction": "output", "bits": module["netnames"][net]} for net in nets}
    return {"modules": {**netlist["modules"], top: {**module, "ports": {**module["ports"], **added}}}}


def _wrapper(name: str, top: dict, taps: list[Tap]) -> str:
    """Return the text of accelerator_top: the netlist, and the calls that record its streams."""
    ports = [f"    {port['direction']} logic [{len(port['bits']) - 1}:0] {n}" for n, port in top["ports"].items()]
    wires, beats, states = [f"  logic {RUNNING};"], [], []
    for tap in taps:
        data, valid, ready = tap.nets
        wires += [f"  logic [{tap.bits - 1}:0] {data};", f"  logic {valid}, {ready};"]
        words = " ".join(f"stream_beat({tap.id}, {word});" for word in _words(data, tap.bits))
        beats.append(f"      if ({valid} && {ready}) begin {words} end")
        states.append(f"      stream_state({tap.id}, 32'({valid}), 32'({ready}));")
    lists = {"ports": ",\n".join(ports)} | {
        key: "\n".join(lines) for key, lines in (("wires", wires), ("beats", beats), ("states", states))
    }
    return WRAPPER.format(name=name, top=TOP, running=RUNNING, **lists)


def _words(data: str, bits: int) -> list[str]:
    """Return a beat as 64-bit words, the low one first."""
    return [f"{WORD_BITS}'({data}[{min(low + WORD_BITS, bits) - 1}:{low}])" for low in range(0, bits, WORD_BITS)]
