"""flow/emit/vivado.py: the scripts of both routes under tclsh against a model of Vivado (vivado_stubs.tcl)."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from flow.emit.rtl import emit_rtl
from flow.emit.vivado import emit_vivado, hls_ip, read_reports, results
from flow.errors import FlowError, VerificationError
from flow.plan.target import load_target
from flow.vendor import ROUTES
from tests.emit.projects import BUILD_ID, FOLDERS, GOLDEN, emitted, needs_tclsh, problems, reduced, rows, run
from tests.graphs import pooled_network, small_network


@pytest.fixture
def scripts(original, tmp_path):
    """The script folders of a copy, by route."""
    copy = shutil.copytree(original, tmp_path / "copy")
    return {route: copy / FOLDERS[route] for route in ROUTES}


@pytest.fixture
def vivado(scripts):
    return scripts["rtl"]


@needs_tclsh
@pytest.mark.parametrize("route", ROUTES)
def test_golden_log(scripts, route):
    status, output, log, model = run(scripts[route])
    assert status == 0, output
    assert log == GOLDEN[route].read_text()
    assert problems(model) == []


@needs_tclsh
@pytest.mark.parametrize("target", ["pynq-z1", "pynq-z2"])
@pytest.mark.parametrize(("network", "ddr"), [(small_network, True), (pooled_network, False)])
@pytest.mark.parametrize("route", ROUTES)
def test_design(tmp_path, target, network, ddr, route):
    vivado = emitted(tmp_path, route, network, target, reduce=False)
    status, output, _, model = run(vivado)
    assert status == 0, output
    assert problems(model) == []
    assert ["part", load_target(target).part] in model
    assert ["board", load_target(target).board_part] in model
    addresses = {(words[1], words[2]): words[3:] for words in model if words[0] == "address"}
    registers = {"rtl": "accelerator/s_axi/reg0", "hls": "accelerator/s_axi_control/Reg"}[route]
    assert addresses["ps/Data", registers] == ["0x43C00000", "0x00001000"]
    assert addresses["ps/Data", "dma/S_AXI_LITE/Reg"] == ["0x40400000", "0x00010000"]
    hp = {name for name in rows(model, "interface") if name.startswith("ps/S_AXI_HP")}
    assert hp == {"ps/S_AXI_HP0", "ps/S_AXI_HP1"} if ddr else {"ps/S_AXI_HP0"}
    config = {name: " ".join(words) for name, words in rows(model, "config").items()}
    assert int(config["dma/c_sg_length_width"]) >= 23 and config["dma/c_include_sg"] == "0"
    assert config["ps/PCW_FPGA0_PERIPHERAL_FREQMHZ"] == "100"
    for name in ("utilization", "timing", "power"):
        assert (vivado / "reports" / f"{name}.rpt").is_file()
    assert [path.name for path in results(vivado, BUILD_ID)] == ["accelerator.bit", "accelerator.hwh"]


@needs_tclsh
@pytest.mark.parametrize("clock", [76.923, 125, 142.857, 166.667])
@pytest.mark.parametrize("board", [0, 1])
def test_other_clocks_of_the_board(tmp_path, clock, board):
    project = reduced(emit_rtl(small_network(), tmp_path / "rtl", build_id=BUILD_ID, clock_mhz=clock))
    vivado = emit_vivado(project, tmp_path / "vivado", load_target("pynq-z2"), clock)
    status, output, log, _ = run(vivado, board=board)
    assert status == 0, output
    assert f"CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ {clock:g} " in log
    assert run(vivado, board=board, pll="1600.000")[0] != 0


@needs_tclsh
@pytest.mark.parametrize(("network", "ddr"), [(small_network, True), (pooled_network, False)])
def test_the_ip_of_the_rtl(tmp_path, network, ddr):
    """Every interface has its clock, and every memory lies where synthesis runs."""
    status, output, _, model = run(emitted(tmp_path, "rtl", network, reduce=False))
    assert status == 0, output
    assert {words[1] for words in model if words[0] == "clocked"} == {"s_axi", "s_axis", "m_axis", *["m_axi"] * ddr}
    manifest = json.loads((tmp_path / "rtl" / "manifest.json").read_text())
    memories = {Path(name).name for name in manifest["files"] if name.endswith(".hex")}
    assert memories == {path.name for path in tmp_path.glob("vivado/project/*.runs/synth_1/*.hex")} != set()


@needs_tclsh
def test_every_ddr_layer_of_the_hls_top_has_its_master(tmp_path):
    _, _, _, model = run(emitted(tmp_path, "hls"))
    interfaces = rows(model, "interface")
    masters = {
        name: peers for name, (_, protocol, _, *peers) in interfaces.items() if name.startswith("accelerator/m_axi_")
    }
    manifest = json.loads((tmp_path / "hls" / "manifest.json").read_text())
    assert len(masters) == len(manifest["regions"]) == 2
    assert sorted(masters.values()) == [["weights/S00_AXI"], ["weights/S01_AXI"]]


@needs_tclsh
def test_without_inference_the_ip_is_the_same(vivado):
    """Where Vivado makes no memory map, no address space, and leaves data files out."""
    parts = [
        {words[1] for words in run(vivado, inferred=inferred)[3] if words[0] == "part_of_ip"} for inferred in (0, 1)
    ]
    assert parts[0] == parts[1]
    assert "entry:xilinx_anylanguagesynthesis/src/classifier_weights.hex" in parts[0]


@needs_tclsh
def test_without_board_files(vivado):
    status, output, log, model = run(vivado, board=0)
    assert status == 0
    assert "board files of tul.com.tw:pynq-z2:part0:1.0 are not installed" in output
    assert ["board"] in model and problems(model) == []
    assert "apply_board_preset 0" in log and "CONFIG.PCW_CRYSTAL_PERIPHERAL_FREQMHZ 50 " in log


@needs_tclsh
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"pll": "1600.000"},
            "takes an IO PLL of 1600.000 MHz, where pynq-z2 has 1000, .* install the board files of tul",
        ),
        ({"pll": "1600.000", "board": 0}, "takes an IO PLL of 1600.000 MHz"),
        ({"clock": "142.857132"}, "can give 142.857132 MHz, not 100 MHz: plan and emit"),
        ({"progress": "45%"}, r"synth_1 stopped at 45% \(failed\)"),
        ({"hold": -0.3}, "worst hold slack is -0.3 ns, which no clock mends"),
        ({"slack": "NA"}, "worst slacks are 'NA' and '0.02' ns, which are no numbers"),
        (
            {"memory": "classifier_weights.hex"},
            "stayed empty .*could not open .readmem data file 'classifier_weights.hex'",
        ),
    ],
)
def test_failed_builds_leave_no_result(vivado, options, message):
    assert run(vivado)[0] == 0
    assert results(vivado, BUILD_ID)
    status, output, _, model = run(vivado, **options)
    assert status != 0 and model == []
    assert re.search(message, output)
    assert not results(vivado, BUILD_ID) and not (vivado / "result").exists()


@needs_tclsh
def test_missed_timing_is_told_and_reported(vivado):
    status, output, _, _ = run(vivado, slack=-0.3)
    assert status == 0
    assert "CRITICAL WARNING: timing is not met: the worst setup slack is -0.3 ns at 100 MHz" in output
    assert results(vivado, BUILD_ID) and read_reports(vivado)["worst_negative_slack_ns"] == -0.3


@needs_tclsh
def test_results_are_of_one_build(vivado):
    assert results(vivado, BUILD_ID) == []
    run(vivado)
    assert len(results(vivado, BUILD_ID)) == 2 and results(vivado, "1" * 32) == []
    (vivado / "result" / "accelerator.hwh").unlink()
    assert results(vivado, BUILD_ID) == []


@needs_tclsh
def test_hls_route_wants_the_ip_first(scripts):
    shutil.rmtree(scripts["hls"].parent / "hls" / "accelerator")
    status, output, _, _ = run(scripts["hls"])
    assert status != 0 and "run run_hls.tcl in Vitis HLS first" in output


@needs_tclsh
@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("build.tcl", "create_bd_cell ", "create_bd_cel ", "unknown command create_bd_cel"),
        ("build.tcl", "validate_bd_design", "validate_bd_desing", "unknown command"),
        ("build.tcl", "dma/axi_resetn", "dma/axi_reset", "has no pin dma/axi_reset:"),
        ("build.tcl", "ps/S_AXI_HP1]", "ps/S_AXI_HP2]", "has no interface ps/S_AXI_HP2:"),
        ("build.tcl", "PCW_USE_S_AXI_HP1", "PCW_USE_S_AXI_HPC1", "ps has no property"),
        ("build.tcl", "CONFIG.PCW_USE_S_AXI_HP1 1", "CONFIG.PCW_USE_S_AXI_HP1 0", "has no interface ps/S_AXI_HP1"),
        (
            "build.tcl",
            "c_s_axis_s2mm_tdata_width 32",
            "c_s_axis_s2mm_tdata_width 64",
            "is AXIS of 32 bits, .* AXIS of 64",
        ),
        ("build.tcl", "accelerator/s_axi/reg0", "accelerator/s_axi/Reg", "no address segment accelerator/s_axi/Reg"),
        ("build.tcl", "-to_step write_bitstream", "-to_step route_design", "there is no bitstream under"),
        (
            "build.tcl",
            "[bd_interface frames/M00_AXI] [bd_interface ps/S_AXI_HP0]",
            "[bd_interface dma/M_AXI_MM2S] [bd_interface ps/S_AXI_HP0]",
            "is AXI4 of 64 bits, .* AXI3",
        ),
        ("build.tcl", "PCW_CRYSTAL_PERIPHERAL_FREQMHZ {50}", "PCW_CRYSTAL_PERIPHERAL_FREQMHZ {33.3}", "PLL of 1600"),
        ("build.tcl", "PCW_ENET0_PERIPHERAL_ENABLE {1}", "PCW_ENET0_PERIPHERAL_ENABLE {0}", "PLL of 1600"),
        ("build.tcl", "PCW_CRYSTAL_PERIPHERAL_FREQMHZ {", "PCW_CRYSTAL_FREQMHZ {", "ps has no property"),
        ("build.tcl", "-part {", "-prat {", "unknown flag -prat"),
        ("package_ip.tcl", "ipx::save_core", "ipx::save_cores", "unknown command ipx::save_cores"),
        ("package_ip.tcl", "version 1.0", "version 1.1", "catalog has no popbin:flow:accelerator:1.0"),
        ("accelerator.v", "output wire m_axis_tvalid", "input wire m_axis_tvalid", "m_axis is slave, not master"),
        ("accelerator.v", "aximm:1.0 m_axi ", "aximm:1.0 m_bus ", "found no interface m_axi"),
    ],
)
def test_mistakes_in_the_scripts_are_errors(vivado, name, old, new, message):
    text = (vivado / name).read_text()
    assert old in text
    (vivado / name).write_text(text.replace(old, new))
    status, output, _, _ = run(vivado)
    assert status != 0
    assert re.search(message, output), output


@needs_tclsh
@pytest.mark.parametrize(("route", "lines_expected"), [("rtl", 10 + 1 + 19 + 3 + 10), ("hls", 11 + 1 + 20 + 3 + 11)])
def test_every_dropped_connection_is_found(scripts, route, lines_expected):
    path = scripts[route] / "build.tcl"
    script = path.read_text()
    lines = re.findall(r"^(?:connect_bd_intf_net .*|connect_bd_net .*|    \w+/\w+)\n", script, re.MULTILINE)
    assert len(lines) == lines_expected
    for line in lines:
        path.write_text(script.replace(line, "", 1))
        status, output, _, model = run(scripts[route])
        assert status == 0, output
        assert problems(model), f"without {line}"


@needs_tclsh
@pytest.mark.parametrize("route", ROUTES)
def test_every_dropped_address_is_found(scripts, route):
    path = scripts[route] / "build.tcl"
    script = path.read_text()
    commands = re.findall(r"^assign_bd_address .*\\\n.*\n", script, re.MULTILINE)
    assert len(commands) == {"rtl": 5, "hls": 6}[route]
    for command in commands:
        path.write_text(script.replace(command, ""))
        status, output, _, model = run(scripts[route])
        assert status == 0, output
        assert any("no address" in problem for problem in problems(model)), f"without {command}"


@needs_tclsh
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("-offset 0x40400000", "-offset 0x43C00000", "overlaps"),
        ("-offset 0x40400000", "-offset 0x40401000", "not aligned"),
        ("bd_addr_spaces accelerator/m_axi", "bd_addr_spaces dma/Data_S2MM", "no way from dma/M_AXI_S2MM"),
        ("[bd_pin ps/FCLK_CLK0] [bd_pin $name]", "[bd_pin ps/FCLK_CLK0] [bd_pin dma/s_axi_lite_aclk]", "driven by"),
    ],
)
def test_mistakes_in_the_design_are_found(vivado, old, new, message):
    script = (vivado / "build.tcl").read_text()
    assert old in script
    (vivado / "build.tcl").write_text(script.replace(old, new))
    status, output, _, model = run(vivado)
    assert status == 0, output
    assert any(message in problem for problem in problems(model)), problems(model)


@pytest.mark.skipif(shutil.which("verilator") is None, reason="verilator is missing: apt-get install verilator")
@pytest.mark.parametrize("network", [small_network, pooled_network])
def test_wrapper_fits_the_top(tmp_path, network):
    vivado = emitted(tmp_path, "rtl", network, reduce=False)
    lint = [
        "verilator",
        "--lint-only",
        "-Wall",
        "-Wno-UNUSEDPARAM",
        "--top-module",
        "accelerator",
        "-y",
        tmp_path / "rtl/rtl",
    ]
    result = subprocess.run([*lint, vivado / "accelerator.v"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    text = (vivado / "accelerator.v").read_text()
    (vivado / "accelerator.v").write_text(text.replace("      .m_axis_tready(m_axis_tready),\n", ""))
    result = subprocess.run([*lint, vivado / "accelerator.v"], capture_output=True, text=True)
    assert "m_axis_tready" in result.stderr and result.returncode != 0


@pytest.mark.parametrize("network", [small_network, pooled_network])
def test_ports_in_the_manifest_are_those_of_the_top(tmp_path, network):
    emitted(tmp_path, "rtl", network, reduce=False)
    text = (tmp_path / "rtl/rtl/accelerator_top.sv").read_text()
    text = re.sub(r"^`ifdef FLOW_TAPS$.*?^`endif$", "", text, flags=re.MULTILINE | re.DOTALL).split("\n);", 1)[0]
    declared = re.findall(r"^ +(input|output) +logic +(?:\[ *(\d+):0\] +)?(\w+),?$", text, re.MULTILINE)
    ports = json.loads((tmp_path / "rtl/manifest.json").read_text())["ports"]
    assert [(way, int(last or -1) + 1, name) for way, last, name in declared] == [
        (port["direction"], port["bits"], port["name"]) for port in ports
    ]


def test_interfaces_in_the_manifest_are_the_pragmas(original):
    source = (original / "hls" / "src" / "accelerator.cpp").read_text()
    pragmas = re.findall(r"^#pragma HLS INTERFACE mode=(\w+) port=(\w+)(?: bundle=(\w+))?", source, re.MULTILINE)
    interfaces = json.loads((original / "hls" / "manifest.json").read_text())["interfaces"]
    assert pragmas == [(i["mode"], i["port"], i["bundle"]) for i in interfaces]
    assert hls_ip(interfaces).control == "s_axi_control"


def test_refusals(original, tmp_path):
    project = shutil.copytree(original / "rtl", tmp_path / "rtl")
    z2 = load_target("pynq-z2")
    for target in ("u250", "zcu104", "kv260"):
        with pytest.raises(FlowError, match=f"^{target}: .*Zynq-7000.*put the RTL project into a design of your own"):
            emit_vivado(project, tmp_path / "vivado", load_target(target), 100)
    with pytest.raises(FlowError, match="emitted for 100 MHz, not 125: emit it again"):
        emit_vivado(project, tmp_path / "vivado", z2, 125)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    with pytest.raises(FlowError, match="not empty and holds no build.tcl"):
        emit_vivado(project, tmp_path / "mine", z2, 100)
    (project / "data" / "classifier_weights.hex").write_text("00\n")
    with pytest.raises(VerificationError, match="classifier"):
        emit_vivado(project, tmp_path / "vivado", z2, 100)
    assert not (tmp_path / "vivado").exists()


def test_emits_again_into_its_own_folder(vivado):
    (vivado / "reports").mkdir()
    emit_vivado(vivado.parent / "rtl", vivado, load_target("pynq-z2"), 100.0)
    assert sorted(path.name for path in vivado.iterdir()) == ["accelerator.v", "build.tcl", "package_ip.tcl"]


@needs_tclsh
def test_folder_with_blanks(tmp_path):
    status, output, _, model = run(emitted(tmp_path / "my $first [build]"))
    assert status == 0, output
    assert problems(model) == []
