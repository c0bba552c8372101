"""The harness itself: it reports what a broken module does."""

import pytest

from flow.sim import build
from flow.sim.module import RtlError, RtlModule
from tests.rtl.streams import random_beats

# A stream through one register; each broken module changes a line.
GOOD = """
module {name} (
    input  logic       clk_i, rst_ni,
    input  logic [7:0] in_data_i,
    input  logic       in_valid_i,
    output logic       in_ready_o,
    output logic [7:0] out_data_o,
    output logic       out_valid_o,
    input  logic       out_ready_i
);
  logic [7:0] data_q;
  logic valid_q;
  logic [3:0] count_q;
  logic take;
  assign take = in_valid_i && in_ready_o;
  assign in_ready_o = !valid_q || out_ready_i;
  assign out_data_o = data_q;
  assign out_valid_o = valid_q;
  always_ff @(posedge clk_i) begin
    count_q <= rst_ni ? count_q + 4'(take) : 4'd0;
    if (take) data_q <= in_data_i;
    valid_q <= rst_ni && (take || (valid_q && !out_ready_i));
  end
  logic unused;
  assign unused = &count_q;
endmodule
"""

BROKEN = {
    "drops_valid": ("(valid_q && !out_ready_i)", "1'b0", "output out dropped valid before ready at cycle"),
    "changes_data": ("if (take) data_q", "data_q", "output out changed its data before ready at cycle"),
    "loses_a_beat": ("(take ||", "((take && count_q != 4'd5) ||", "output out is stuck at beat 28 of 30"),
    "repeats_a_beat": ("!out_ready_i)", "(!out_ready_i || (count_q == 4'd14 && !take)))", "beyond the 30 expected"),
    "stops": (
        "!valid_q || out_ready_i;",
        "count_q != 4'd9 && (!valid_q || out_ready_i);",
        "input in is stuck at beat 9 of 30; output out is stuck at beat 9 of 30",
    ),
    "forgets_reset": ("rst_ni && (take", "(take", "beyond the 30 expected"),
    "valid_needs_ready": (
        "out_valid_o = valid_q",
        "out_valid_o = valid_q && out_ready_i",
        "out_ready_i to out_valid_o",
    ),
    "ready_needs_valid": ("in_ready_o = ", "in_ready_o = in_valid_i && ", "in_valid_i to in_ready_o"),
}


def build_variant(tmp_path, name, old="", new=""):
    assert old in GOOD
    source = tmp_path / f"{name}.sv"
    source.write_text(GOOD.format(name=name).replace(old, new) if old else GOOD.format(name=name))
    return RtlModule(name, {}, {"in": 8}, {"out": 8}, sources=[source])


BEATS = random_beats(30, 8, seed=1)


def run_all(module, **options):
    return module.run({"in": BEATS}, {"out": 30}, seed=1, max_cycles=2000, **options)


def test_a_good_module_passes(tmp_path):
    module = build_variant(tmp_path, "good")
    assert run_all(module).cycles == 31
    for seed in range(5):
        run = module.run({"in": BEATS}, {"out": 30}, seed=seed, p_valid=0.5, p_ready=0.5, reset_at=20)
        assert run.outputs["out"] == BEATS


@pytest.mark.parametrize("name", BROKEN)
def test_reports(tmp_path, name):
    old, new, message = BROKEN[name]
    module = build_variant(tmp_path, name, old, new)
    with pytest.raises(RtlError, match=message):
        for reset_at in range(10, 20):
            run_all(module, p_valid=0.7, p_ready=0.5, reset_at=reset_at)


def test_too_many_beats(tmp_path):
    with pytest.raises(RtlError, match="output out offers a beat beyond the 20 expected at cycle 21"):
        build_variant(tmp_path, "good").run({"in": BEATS}, {"out": 20})


def test_an_input_left_over(tmp_path):
    old, new, _ = BROKEN["stops"]
    with pytest.raises(RtlError, match="inputs were left over: input in is stuck at beat 9 of 30"):
        build_variant(tmp_path, "stops", old, new).run({"in": BEATS}, {"out": 9})


def test_same_seed_same_cycles(tmp_path):
    module = build_variant(tmp_path, "good")
    assert len({run_all(module, p_valid=0.5, p_ready=0.5).cycles for _ in range(3)}) == 1


def test_the_cache_answers_again(tmp_path):
    first, second = (build_variant(tmp_path, "good").library for _ in range(2))
    assert first == second
    assert build_variant(tmp_path, "good", "4'd0", "4'd1").library != first


def test_wrong_ports(tmp_path):
    source = tmp_path / "good.sv"
    source.write_text(GOOD.format(name="good"))
    with pytest.raises(RtlError, match=r"not found as named: out_data_o\[9\]; found but not named: out_data_o\[8\]"):
        RtlModule("good", {}, {"in": 8}, {"out": 9}, sources=[source])


def test_a_warning_is_an_error(tmp_path):
    with pytest.raises(RtlError, match="WIDTH"):
        build_variant(tmp_path, "warns", "4'(take)", "5'(take)")


def test_missing_verilator(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    build.tool_versions.cache_clear()
    with pytest.raises(RtlError, match="apt install verilator"):
        build_variant(tmp_path, "good")


def test_constants_and_wide_streams(tmp_path):
    source = tmp_path / "flips.sv"
    source.write_text("""
module flips #(parameter int Offset = 0, parameter logic [69:0] Mask = 70'd0) (
    input  logic          clk_i, rst_ni,
    input  logic [  69:0] flip_i,
    input  logic [4095:0] in_data_i,
    input  logic          in_valid_i,
    output logic          in_ready_o,
    output logic [4095:0] out_data_o,
    output logic          out_valid_o,
    input  logic          out_ready_i
);
  assign out_data_o = in_data_i ^ {4026'd0, flip_i ^ Mask} ^ {4064'd0, Offset};
  assign out_valid_o = in_valid_i;
  assign in_ready_o = out_ready_i;
  logic unused;
  assign unused = clk_i & rst_ni;
endmodule
""")
    flip, mask, beats = 0x2A_0123_4567_89AB_CDEF, 0x15_8000_0000_0000_0001, random_beats(40, 4096, seed=2)
    parameters = {"Offset": -3, "Mask": f"70'h{mask:x}"}
    module = RtlModule("flips", parameters, {"in": 4096}, {"out": 4096}, constants={"flip_i": flip}, sources=[source])
    run = module.run({"in": beats}, {"out": 40}, p_valid=0.5, p_ready=0.5)
    assert run.outputs["out"] == [beat ^ flip ^ mask ^ (-3 % 2**32) for beat in beats]
