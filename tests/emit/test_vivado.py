"""flow/emit/vivado.py: the scripts under tclsh against a model of Vivado's commands (vivado_stubs.tcl), and the reports.

The model can only be as right as public block designs are: no Vivado was at hand. `python -m tests.emit.test_vivado` writes the
golden log again.
"""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from flow.emit.rtl import emit_rtl
from flow.emit.vivado import emit_vivado, read_reports, top_ports
from flow.errors import FlowError, VerificationError
from flow.plan.target import load_target
from tests.graphs import pooled_network, small_network

HERE = Path(__file__).parent
GOLDEN = HERE / "golden_pynq_z2.log"
MASTERS = {"ps/Data": "ps/M_AXI_GP0", "dma/Data_MM2S": "dma/M_AXI_MM2S", "dma/Data_S2MM": "dma/M_AXI_S2MM"}  # of address spaces
KEPT = ("rtl/accelerator_top.sv", "rtl/fifo.sv", "data/classifier_weights.hex", "data/ddr_weights.bin")
needs_tclsh = pytest.mark.skipif(shutil.which("tclsh") is None, reason="tclsh is missing: apt-get install tcl")

UTILIZATION = """\
| Tool Version : Vivado v.2022.1 (lin64) Build 3526262 Mon Apr 18 15:47:01 MDT 2022
| Command      : report_utilization -file utilization.rpt
| Device       : xc7z020clg400-1
| Design State : Routed

1. Slice Logic
--------------

+----------------------------+-------+-------+------------+-----------+-------+
|          Site Type         |  Used | Fixed | Prohibited | Available | Util% |
+----------------------------+-------+-------+------------+-----------+-------+
| Slice LUTs                 | 25770 |     0 |          0 |     53200 | 48.44 |
|   LUT as Logic             | 23447 |     0 |          0 |     53200 | 44.07 |
|   LUT as Memory            |  2323 |     0 |          0 |     17400 | 13.35 |
| Slice Registers            | 42269 |     0 |          0 |    106400 | 39.73 |
|   Register as Flip Flop    | 42269 |     0 |          0 |    106400 | 39.73 |
+----------------------------+-------+-------+------------+-----------+-------+

3. Memory
---------

+-------------------+-------+-------+------------+-----------+-------+
|     Site Type     |  Used | Fixed | Prohibited | Available | Util% |
+-------------------+-------+-------+------------+-----------+-------+
| Block RAM Tile    | 121.5 |     0 |          0 |       140 | 86.79 |
|   RAMB36/FIFO*    |    76 |     0 |          0 |       140 | 54.29 |
|   RAMB18          |    91 |     0 |          0 |       280 | 32.50 |
+-------------------+-------+-------+------------+-----------+-------+

4. DSP
------

+----------------+------+-------+------------+-----------+-------+
|    Site Type   | Used | Fixed | Prohibited | Available | Util% |
+----------------+------+-------+------------+-----------+-------+
| DSPs           |   24 |     0 |          0 |       220 | 10.91 |
|   DSP48E1 only |   24 |       |            |           |       |
+----------------+------+-------+------------+-----------+-------+
"""
TIMING = """\
------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  THS Failing Endpoints
    -------      -------  ---------------------  -------------------      -------      -------  ---------------------
     -0.471       -1.250                      3                45198        0.020        0.000                      0


------------------------------------------------------------------------------------------------
| Clock Summary
| -------------
------------------------------------------------------------------------------------------------
"""
POWER = """\
1. Summary
----------

+--------------------------+--------------+
| Total On-Chip Power (W)  | 1.795        |
| Design Power Budget (W)  | Unspecified* |
| Dynamic (W)              | 1.576        |
| Device Static (W)        | 0.219        |
+--------------------------+--------------+
"""


def reduced(project):
    """Leaves little of an RTL project, so that the golden log does not change with every module."""
    manifest = json.loads((project / "manifest.json").read_text())
    for name in set(manifest["files"]) - set(KEPT):
        (project / name).unlink()
    manifest["files"] = {name: entry for name, entry in manifest["files"].items() if name in KEPT}
    (project / "manifest.json").write_text(json.dumps(manifest))
    return project


def emitted(folder, network=small_network, target="pynq-z2", reduce=True):
    """The folder with vivado/ beside rtl/."""
    project = emit_rtl(network(), folder / "rtl", build_id="0" * 32, clock_mhz=100)
    if reduce:
        reduced(project)
    return emit_vivado(project, folder / "vivado", load_target(target), 100)


def run(vivado, **options):
    """(exit status, stdout and stderr, log, model) of build.tcl."""
    root = vivado.parent
    log, model = root / "log", root / "model"
    model.unlink(missing_ok=True)
    words = [str(word) for pair in options.items() for word in pair]
    command = ["tclsh", HERE / "vivado_stubs.tcl", vivado / "build.tcl", root, log, model, *words]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    text = model.read_text() if model.exists() else ""
    return result.returncode, result.stdout + result.stderr, log.read_text(), [line.split() for line in text.splitlines()]


def rows(model, kind):
    return {words[1]: words[2:] for words in model if words[0] == kind}


def problems(model):
    """What is wrong with a design: open or doubly connected pins and interfaces, addresses that overlap or lead nowhere."""
    interfaces, pins = rows(model, "interface"), rows(model, "pin")
    found = [f"{name}: {len(peers)} peers" for name, (_, _, _, *peers) in interfaces.items() if len(peers) != 1]
    for name, (kind, way, *drivers) in pins.items():
        if way == "I" and (len(drivers) != 1 or kind == "clock" and drivers != ["ps/FCLK_CLK0"]):
            found.append(f"{name}: driven by {drivers}")
    taken = {}
    for _, space, segment, offset, size in (words for words in model if words[0] == "address"):
        start, end = int(offset, 16), int(offset, 16) + int(size, 16)
        if start % (end - start):
            found.append(f"{segment} at {offset} is not aligned to its size {size}")
        found += [f"{segment} overlaps {other}" for other, low, high in taken.get(space, []) if start < high and low < end]
        taken.setdefault(space, []).append((segment, start, end))
        master = MASTERS.get(space, space)
        if segment.rpartition("/")[0] not in reachable(interfaces, master):
            found.append(f"no way from {master} to {segment}")
    return found


def reachable(interfaces, master):
    """The slaves behind a master, through interconnects."""
    pending, slaves = [master], set()
    while pending:
        for peer in interfaces[pending.pop()][3:]:
            slaves.add(peer)
            if re.fullmatch(r"\w+/S\d\d_AXI", peer):
                pending += [name for name in interfaces if re.fullmatch(peer.split("/")[0] + r"/M\d\d_AXI", name)]
    return slaves


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return emitted(tmp_path_factory.mktemp("original")).parent


@pytest.fixture
def vivado(original, tmp_path):
    return shutil.copytree(original, tmp_path / "copy") / "vivado"


@needs_tclsh
def test_golden_log(vivado):
    status, output, log, _ = run(vivado)
    assert status == 0, output
    assert log == GOLDEN.read_text()


@needs_tclsh
@pytest.mark.parametrize("target", ["pynq-z1", "pynq-z2"])
@pytest.mark.parametrize(("network", "ddr"), [(small_network, True), (pooled_network, False)])
def test_design(tmp_path, target, network, ddr):
    status, output, log, model = run(emitted(tmp_path, network, target, reduce=False))
    assert status == 0, output
    assert problems(model) == []
    assert ["part", load_target(target).part] in model
    assert ["board", load_target(target).board_part] in model
    addresses = {(words[1], words[2]): words[3:] for words in model if words[0] == "address"}
    assert addresses["ps/Data", "accelerator/s_axi/reg0"] == ["0x43C00000", "0x00001000"]
    assert addresses["ps/Data", "dma/S_AXI_LITE/Reg"] == ["0x40400000", "0x00010000"]
    hp = {name for name in rows(model, "interface") if name.startswith("ps/S_AXI_HP")}
    assert hp == {"ps/S_AXI_HP0", "ps/S_AXI_HP1"} if ddr else {"ps/S_AXI_HP0"}
    config = {name: value for name, (value,) in rows(model, "config").items()}
    assert int(config["dma/c_sg_length_width"]) >= 23 and config["dma/c_include_sg"] == "0"
    assert config["ps/PCW_FPGA0_PERIPHERAL_FREQMHZ"] == "100"
    assert {words[1] for words in model if words[0] == "clocked"} == {"s_axi", "s_axis", "m_axis", *["m_axi"] * ddr}
    for name in ("accelerator.bit", "accelerator.hwh"):
        assert (tmp_path / "deploy" / name).is_file()
    for name in ("utilization", "timing", "power"):
        assert (tmp_path / "vivado" / "reports" / f"{name}.rpt").is_file()
    manifest = json.loads((tmp_path / "rtl" / "manifest.json").read_text())
    memories = {Path(name).name for name in manifest["files"] if name.endswith(".hex")}
    assert memories == {path.name for path in tmp_path.glob("vivado/project/*.runs/synth_1/*.hex")} != set()


@needs_tclsh
def test_without_inference_the_ip_is_the_same(vivado):
    """Where Vivado makes no memory map, no address space, and leaves data files out."""
    parts = [{words[1] for words in run(vivado, inferred=inferred)[3] if words[0] == "part_of_ip"} for inferred in (0, 1)]
    assert parts[0] == parts[1]
    assert "entry:xilinx_anylanguagesynthesis/src/classifier_weights.hex" in parts[0]


@needs_tclsh
def test_without_board_files(vivado):
    status, output, log, model = run(vivado, board=0)
    assert status == 0
    assert "board files of tul.com.tw:pynq-z2:part0:1.0 are not installed" in output
    assert ["board"] in model and problems(model) == []
    assert "apply_board_preset 0" in log


@needs_tclsh
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clock": "142.857132"}, "can give 142.857132 MHz, not 100 MHz: plan and emit"),
        ({"progress": "45%"}, r"synth_1 stopped at 45% \(failed\)"),
        ({"slack": -0.3}, "worst setup slack is -0.3 ns at 100 MHz: plan for a lower clock"),
        ({"slack": "NA"}, "worst setup slack is NA"),
        ({"memory": "classifier_weights.hex"}, "stayed empty .*could not open .readmem data file 'classifier_weights.hex'"),
    ],
)
def test_failed_builds_deploy_nothing(vivado, options, message):
    assert run(vivado)[0] == 0
    status, output, _, model = run(vivado, **options)
    assert status != 0 and model == []
    assert re.search(message, output)
    assert not list(vivado.parent.glob("deploy/*"))


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
        ("build.tcl", "c_s_axis_s2mm_tdata_width 32", "c_s_axis_s2mm_tdata_width 64", "is AXIS of 32 bits, .* AXIS of 64"),
        ("build.tcl", "accelerator/s_axi/reg0", "accelerator/s_axi/Reg", "no address segment accelerator/s_axi/Reg"),
        ("build.tcl", "-to_step write_bitstream", "-to_step route_design", "there is no bitstream under"),
        ("build.tcl", "[bd_interface frames/M00_AXI] [bd_interface ps/S_AXI_HP0]",
         "[bd_interface dma/M_AXI_MM2S] [bd_interface ps/S_AXI_HP0]", "is AXI4 of 64 bits, .* AXI3"),
        ("build.tcl", "-part {", "-prat {", "unknown flag -prat"),
        ("package_ip.tcl", "ipx::save_core", "ipx::save_cores", "unknown command ipx::save_cores"),
        ("package_ip.tcl", "version 1.0", "version 1.1", "catalog has no popbin:flow:accelerator:1.0"),
        ("accelerator.v", "output wire m_axis_tvalid", "input wire m_axis_tvalid", "m_axis is slave, not master"),
        ("accelerator.v", "aximm:1.0 m_axi ", "aximm:1.0 m_bus ", "found no interface m_axi"),
    ],
)  # fmt: skip
def test_mistakes_in_the_scripts_are_errors(vivado, name, old, new, message):
    text = (vivado / name).read_text()
    assert old in text
    (vivado / name).write_text(text.replace(old, new))
    status, output, _, _ = run(vivado)
    assert status != 0
    assert re.search(message, output), output


@needs_tclsh
def test_every_dropped_connection_is_found(vivado):
    script = (vivado / "build.tcl").read_text()
    lines = re.findall(r"^(?:connect_bd_intf_net .*|connect_bd_net .*|    \w+/\w+)\n", script, re.MULTILINE)
    assert len(lines) == 10 + 1 + 19 + 3 + 10
    for line in lines:
        (vivado / "build.tcl").write_text(script.replace(line, "", 1))
        status, output, _, model = run(vivado)
        assert status == 0, output
        assert problems(model), f"without {line}"


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
    vivado = emitted(tmp_path, network, reduce=False)
    lint = ["verilator", "--lint-only", "-Wall", "-Wno-UNUSEDPARAM", "--top-module", "accelerator", "-y", tmp_path / "rtl/rtl"]
    result = subprocess.run([*lint, vivado / "accelerator.v"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    text = (vivado / "accelerator.v").read_text()
    (vivado / "accelerator.v").write_text(text.replace("      .m_axis_tready(m_axis_tready),\n", ""))
    result = subprocess.run([*lint, vivado / "accelerator.v"], capture_output=True, text=True)
    assert "m_axis_tready" in result.stderr and result.returncode != 0


def test_unknown_port(tmp_path):
    top = tmp_path / "accelerator_top.sv"
    top.write_text("module accelerator_top (\n    input  logic        clk_i,\n    output logic [ 3:0] leds_o\n);\nendmodule\n")
    with pytest.raises(FlowError, match="port leds_o is of none of the interfaces"):
        top_ports(top)


def test_refusals(original, tmp_path):
    project = shutil.copytree(original / "rtl", tmp_path / "rtl")
    z2 = load_target("pynq-z2")
    for target in ("u250", "zcu104", "kv260"):
        with pytest.raises(FlowError, match=f"^{target}: .*Zynq-7000.*put the RTL project .*rtl into a design of your own"):
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


@pytest.fixture
def reports(tmp_path):
    (tmp_path / "reports").mkdir()
    for name, text in (("utilization", UTILIZATION), ("timing", TIMING), ("power", POWER)):
        (tmp_path / "reports" / f"{name}.rpt").write_text(text)
    return tmp_path


def test_reports(reports):
    expected = {"lut": 25770, "ff": 42269, "bram36": 121.5, "dsp": 24, "worst_negative_slack_ns": -0.471, "power_w": 1.795}
    assert read_reports(reports) == expected


def test_reports_of_older_versions(reports):
    """Without the column Prohibited, and with a remark at the LUTs."""
    text = UTILIZATION.replace("| Prohibited ", "").replace("|          0 ", "").replace("Slice LUTs ", "Slice LUTs*")
    (reports / "reports" / "utilization.rpt").write_text(text)
    assert read_reports(reports)["lut"] == 25770 and read_reports(reports)["bram36"] == 121.5


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("utilization", "| DSPs ", "| DSQs ", "utilization.rpt gives no number for DSPs"),
        ("utilization", "Block RAM Tile", "Block RAM", "utilization.rpt gives no number for Block RAM Tile"),
        ("timing", "     -0.471 ", "         NA ", r"timing.rpt gives no number for WNS\(ns\)"),
        ("timing", "Design Timing Summary", "Inter Clock Table", r"timing.rpt gives no number for WNS\(ns\)"),
        ("power", "| 1.795 ", "| N/A   ", r"power.rpt gives no number for Total On-Chip Power \(W\)"),
    ],
)
def test_reports_that_lack_a_figure(reports, name, old, new, message):
    path = reports / "reports" / f"{name}.rpt"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(FlowError, match=message):
        read_reports(reports)


def test_reports_that_are_missing(reports):
    (reports / "reports" / "power.rpt").unlink()
    with pytest.raises(FlowError, match="power.rpt cannot be read .*run build.tcl in Vivado first"):
        read_reports(reports)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        GOLDEN.write_text(run(emitted(Path(name)))[2])
