"""flow/nodes/__init__.py: nodes are found by themselves, and one of another folder goes through the whole flow.

The toy node is three files in a temporary folder; nothing else in the repository knows of it.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from qonnx.transformation.infer_shapes import InferShapes

from flow import nodes
from flow.emit.hls import emit_hls
from flow.emit.package import driver_sources
from flow.emit.rtl import emit_rtl
from flow.golden import Golden
from flow.graph import hardware_nodes
from flow.library import headers, modules
from flow.nodes import NodeError
from flow.plan.apply import apply_plan
from flow.plan.estimate import estimate
from flow.plan.planner import plan_network
from flow.plan.target import load_target
from flow.sim.compare import first_difference
from flow.sim.csim import CsimAccelerator
from flow.sim.rtl import RtlAccelerator
from tests.graphs import GraphBuilder, random_images
from tests.hls.harness import run
from tests.nodes.harness import Case, NodeTests, Rtl, headers_of

PYTHON = """
import numpy as np

from flow.nodes import Call, Cell, Cost, HardwareOp, Memory, NodeError, Table, memory_cost
from flow.nodes.packing import grouped, words
from flow.nodes.stream import saturate, signed_bits


class TripleAdd(HardwareOp):
    \"\"\"y = saturate(3 * x + c[channel]) on ``bits`` bits; x, y [N, H, W, C] signed, c [C] on ``bits`` bits.\"\"\"

    def evaluate(self, x, c):
        return saturate(3 * x.astype(np.int64) + c, self.bits)

    def _check(self, c):
        if signed_bits(c) > self.bits:
            raise NodeError(f"c {c.min()}..{c.max()} does not fit {self.bits} bits")

    def rtl(self, c):
        self._check(c)
        memory = Memory("TableFile", "offsets", words(grouped(c, self.p), self.bits), self.p * self.bits)
        return Cell("triple_add", {"Channels": self.channels, "P": self.p, "Bits": self.bits}, (memory,))

    def hls(self, c):
        self._check(c)
        parameters = {"Channels": self.channels, "P": self.p, "Bits": self.bits, "Pixels": self.pixels}
        return Call("triple_add", parameters, (Table("offsets", "int32_t", c, "[channel]: added to 3 * x"),))

    def cost(self):
        table = memory_cost(self.channels // self.p, self.p * self.bits, "distributed")
        return Cost(lut=3 * self.p * self.bits, ff=self.p * self.bits + 1) + table
"""

VERILOG = """\
/// out = saturate_Bits(3 * in + offset[channel]), registered.
module triple_add #(
    parameter int unsigned Channels  = 8,   // channels of a pixel, a multiple of P
    parameter int unsigned P         = 1,   // elements a beat
    parameter int unsigned Bits      = 8,   // bits of a signed element, in and out
    parameter              TableFile = ""   // Channels/P words of P offsets
) (
    input  logic              clk_i,
    input  logic              rst_ni,
    input  logic [P*Bits-1:0] in_data_i,
    input  logic              in_valid_i,
    output logic              in_ready_o,
    output logic [P*Bits-1:0] out_data_o,
    output logic              out_valid_o,
    input  logic              out_ready_i
);
  logic [P*Bits-1:0] offsets, out_d, out_q;
  logic valid_q;

  assign in_ready_o  = !valid_q || out_ready_i;
  assign out_data_o  = out_q;
  assign out_valid_o = valid_q;

  channel_table #(
      .Words(Channels / P),
      .Width(P * Bits),
      .File (TableFile)
  ) i_offsets (
      .clk_i,
      .rst_ni,
      .step_i(in_valid_i && in_ready_o),
      .word_o(offsets)
  );

  for (genvar i = 0; i < P; i++) begin : gen_element
    logic signed [Bits-1:0] x, c;
    logic signed [Bits+2:0] wide;
    logic fits;
    assign x    = in_data_i[i*Bits+:Bits];
    assign c    = offsets[i*Bits+:Bits];
    assign wide = (Bits + 3)'(x) + ((Bits + 3)'(x) <<< 1) + (Bits + 3)'(c);
    assign fits = wide[Bits+2:Bits-1] == {4{wide[Bits+2]}};
    assign out_d[i*Bits+:Bits] = fits ? wide[Bits-1:0] : {wide[Bits+2], {(Bits - 1) {!wide[Bits+2]}}};
  end

  always_ff @(posedge clk_i) begin
    if (in_ready_o) out_q <= out_d;
    if (!rst_ni) valid_q <= 1'b0;
    else if (in_ready_o) valid_q <= in_valid_i;
  end
endmodule
"""

HEADER = """\
/// out = saturate_Bits(3 * in + offsets[channel]).
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned Channels, unsigned P, unsigned Bits, unsigned Pixels>
void triple_add(hls::stream<beat<P, Bits>>& in, hls::stream<beat<P, Bits>>& out, const int32_t (&offsets)[Channels]) {
#pragma HLS ARRAY_PARTITION variable=offsets cyclic factor=P dim=1
    for (unsigned pixel = 0; pixel < Pixels; ++pixel) {
        for (unsigned c = 0; c < Channels; c += P) {
#pragma HLS PIPELINE II=1
            int32_t x[P], y[P];
            unpack_signed<P, Bits>(in.read(), x);
            for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
                y[i] = saturate<Bits>(3 * x[i] + offsets[c + i]);
            }
            out.write(pack<P, Bits>(y));
        }
    }
}

}  // namespace flow
"""


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """Give the registry back as it was."""
    known = set(sys.modules)
    monkeypatch.setattr(nodes, "_kinds", dict(nodes.kinds()))
    monkeypatch.setattr(nodes, "_folders", list(nodes.folders()))
    yield
    for name in set(sys.modules) - known:
        if name.startswith("flow_nodes_"):
            del sys.modules[name]


@pytest.fixture
def folder(tmp_path):
    """A folder with the toy node, in three files."""
    folder = tmp_path / "my_nodes"
    folder.mkdir()
    for suffix, text in (("py", PYTHON), ("sv", VERILOG), ("hpp", HEADER)):
        (folder / f"triple_add.{suffix}").write_text(text)
    return folder


@pytest.fixture
def toy(folder):
    assert nodes.add_folder(folder) == ["TripleAdd"]
    return folder


def network(p=3, pe=2, simd=4, stem=8):
    """An 8-bit stem, the toy node, a binary layer, the toy node on its sums, and a classifier, on 4 x 4 images."""
    g = GraphBuilder(4, 4, p=min(8, 2 * simd), seed=3)
    x = g.conv(g.pixels(p), "stem", stem, pe=pe, simd=p)
    x = g.node("TripleAdd", "stem.triple", [x], {"c": g.rng.integers(-256, 256, stem)})
    x = g.binary(g.sign(x, "binary"), "binary", 6, pe=pe, simd=simd, activation="sum", out_bits=8)
    x = g.node("TripleAdd", "binary.triple", [x], {"c": g.rng.integers(-128, 128, 6)})
    x = g.node("GlobalPool", "pool", [x])
    return g.model(g.conv(x, "classifier", 10, pe=pe, simd=p, out_bits=32, shift=0, kernel=1, padding=0))


def assert_equals(result, logits, streams):
    np.testing.assert_array_equal(result.logits, logits)
    assert result.streams.keys() == streams.keys()
    assert first_difference(streams, result.streams, result.streams) is None


def test_a_toy_node_goes_through_golden_csim_and_rtl(toy, tmp_path):
    """0 mismatches on the logits and on every stream."""
    model, images, streams = network(), random_images(6, size=4), {}
    logits = Golden(model).execute(images, streams)
    for name in ("stem.triple.out", "binary.triple.out"):
        assert len(np.unique(streams[name])) > 30
    assert (streams["stem.triple.out"].min(), streams["stem.triple.out"].max()) == (-256, 255)
    c = next(node for node in hardware_nodes(model) if node.name == "stem.triple").constants[0]
    expected = (3 * streams["stem.conv.out"].astype(int) + c).clip(-256, 255)
    np.testing.assert_array_equal(streams["stem.triple.out"], expected)

    target = {"build_id": "0" * 32, "part": "xc7z020clg400-1", "clock_mhz": 100}
    project = emit_hls(model, tmp_path / "hls", **target)
    assert_equals(CsimAccelerator(project).execute(images, record=True), logits, streams)
    accelerator = RtlAccelerator(emit_rtl(model, tmp_path / "rtl", build_id="0" * 32, clock_mhz=100))
    assert_equals(accelerator.execute(images, record=True), logits, streams)
    assert_equals(accelerator.execute(images, record=True, input_gaps=0.6, output_stalls=0.7, seed=3), logits, streams)


def test_a_toy_node_is_planned_and_estimated(toy):
    """As the passes leave a graph, a channel at a time; what the plan makes of it computes the same."""
    model, target = network(1, 1, 1, 16).transform(InferShapes()), load_target("pynq-z2")
    plan = plan_network(model, target, fps=600_000)
    assert plan.nodes["stem.triple"].p > 1
    planned = apply_plan(model, plan)
    figures = estimate(planned, plan, target)
    assert figures.fps >= 600_000
    images = random_images(5, size=4)
    np.testing.assert_array_equal(Golden(planned).execute(images), Golden(model).execute(images))


@pytest.mark.parametrize(("channels", "p", "bits"), [(6, 2, 8), (5, 5, 3)])
def test_a_toy_node_passes_the_harness_of_the_nodes(toy, tmp_path, channels, p, bits):
    """Numpy, RTL and HLS."""
    case = Case(
        "TripleAdd",
        {"height": 3, "width": 4, "channels": channels, "p": p, "bits": bits},
        draw=lambda op, rng: (rng.integers(-(1 << bits - 1), 1 << bits - 1, channels),),
    )
    tests = NodeTests()
    for check in (tests.check_quick, tests.check_streams):
        check(case)
    tests.check_bounds(case, reached=True)
    results = run(headers_of([case]), [case.instance()], tmp_path, include=[toy])
    assert results[case.identifier].outputs == case.output_beats()
    rtl = Rtl(case, tmp_path)
    assert rtl.check().cycles == case.frames * case.op.cycles() + 1
    rtl.check(seed=2, p_valid=0.6, p_ready=0.6, reset_at=5)


def test_the_board_gets_a_toy_node_along(toy, tmp_path):
    """Its file stands among the nodes of the package `deploy`, and is found there without the flow."""
    for name, content in driver_sources().items():
        path = tmp_path / "board" / "deploy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    program = (
        "import numpy as np, deploy.nodes as nodes, sys\n"
        "op = nodes.find('TripleAdd')(height=1, width=1, channels=2, bits=4, name='toy')\n"
        "print(op.evaluate(np.array([[[[1, 2]]]]), np.array([2, 3])).ravel().tolist(), 'flow' in sys.modules)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path / "board", capture_output=True, text=True, check=True
    )
    assert found.stdout == "[5, 7] False\n"


def test_its_module_and_header_are_found_beside_it(toy):
    assert modules()["triple_add"] == toy / "triple_add.sv"
    assert headers()["triple_add.hpp"] == toy / "triple_add.hpp"
    assert nodes.find("TripleAdd").stem() == "triple_add"
    assert nodes.find("TripleAdd").source() == toy / "triple_add.py"
    assert nodes.folders()[-1] == toy


def test_a_folder_may_be_added_twice(toy):
    assert nodes.add_folder(toy) == ["TripleAdd"]
    assert nodes.folders().count(toy) == 1


def test_a_second_node_of_the_same_name_is_refused(toy, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "again.py").write_text(PYTHON)
    first, second = toy / "triple_add.py", other / "again.py"
    with pytest.raises(NodeError) as caught:
        nodes.add_folder(other)
    assert str(caught.value) == f"{second}: there is a node TripleAdd already, in {first}"
    assert nodes.find("TripleAdd").source() == first and other not in nodes.folders()


def test_a_node_of_the_flow_is_not_replaced(folder):
    path = folder / "triple_add.py"
    path.write_text(PYTHON.replace("TripleAdd", "MaxPool"))
    own = nodes.find("MaxPool")
    with pytest.raises(NodeError) as caught:
        nodes.add_folder(folder)
    assert str(caught.value) == f"{path}: there is a node MaxPool already, in {own.source()}"
    assert nodes.find("MaxPool") is own


@pytest.mark.parametrize("file", ["triple_add.sv", "triple_add.hpp"])
def test_a_toy_node_without_a_file_is_named(toy, file, tmp_path):
    (toy / file).unlink()
    model = network()
    with pytest.raises(Exception, match=r"^no source triple_add(\.hpp)? beside the nodes: known are "):
        if file.endswith("sv"):
            emit_rtl(model, tmp_path / "rtl", build_id="0" * 32, clock_mhz=100)
        else:
            emit_hls(model, tmp_path / "hls", build_id="test", part="xc7z020clg400-1", clock_mhz=100)


def test_a_folder_without_nodes_is_refused(tmp_path):
    with pytest.raises(NodeError) as caught:
        nodes.add_folder(tmp_path)
    assert str(caught.value) == (f"{tmp_path} holds no node: a Python file with a subclass of flow.nodes.HardwareOp")


def test_an_unknown_node_names_the_known_ones():
    known = ", ".join(sorted(nodes.kinds()))
    with pytest.raises(NodeError) as caught:
        nodes.find("Softmax")
    assert str(caught.value) == f"there is no node of kind 'Softmax': known are {known}"


def test_every_kind_is_found_in_a_file_of_its_own():
    folder = Path(nodes.__file__).parent
    assert len(nodes.kinds()) == 22
    assert {kind.source().parent for kind in nodes.kinds().values()} == {folder}
    stems = [kind.stem() for kind in nodes.kinds().values()]
    assert len(set(stems)) == len(stems)
