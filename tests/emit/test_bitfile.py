"""``flow build --bitfile`` with programs called vivado and vitis_hls that run the scripts against the tools' models."""

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import flow.vendor as flow_vendor
from brevitas_models.checkpoint import Metadata, save_checkpoint
from flow import cli
from flow.emit.hls import emit_hls
from flow.emit.rtl import emit_rtl
from flow.emit.vivado import results
from flow.options import Options
from flow.resume import Progress, keys
from flow.state import Build
from flow.steps import NAMES, STEPS
from flow.vendor import last_errors
from flow.workspace import Workspace
from tests.compiler.networks import settled_network
from tests.emit.projects import HERE, needs_tclsh
from tests.graphs import small_network

pytestmark = needs_tclsh
VIVADO = """[ "$*" = "-mode batch -source build.tcl" ] || exit 2
tclsh {stubs}/vivado_stubs.tcl $PWD/build.tcl $PWD log model {options}"""
VITIS_HLS = """[ "$*" = "-f run_hls.tcl" ] || exit 2
tclsh {stubs}/vitis_hls_stubs.tcl $PWD/run_hls.tcl $PWD log"""
TOOLS = ("vivado", "vitis_hls", "vitis-run")
FAILURE = """echo "INFO: [Common 17-1] started"
echo "ERROR: [Synth 8-439] module 'sum' not found"
echo "INFO: [Common 17-206] Exiting Vivado"
exit 1"""
FIGURES = {"lut": 25770, "ff": 42269, "bram36": 121.5, "dsp": 24, "power_w": 1.795, "tool": "Vivado v.2022.1"}


def flow(capsys, *words) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``flow build --target pynq-z2 words``."""
    with pytest.raises(SystemExit) as stop:
        cli.main(["build", *map(str, words)])
    out, err = capsys.readouterr()
    return stop.value.code, out, err


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A function that puts a program into a first folder of PATH; behind it there is no tool of the vendor."""
    folder = tmp_path / "bin"
    folder.mkdir()
    others = [
        name for name in os.environ["PATH"].split(os.pathsep) if not any(Path(name, tool).exists() for tool in TOOLS)
    ]
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder), *others]))

    def install(name, script, options=""):
        (folder / name).write_text("#!/bin/sh\n" + script.replace("{stubs}", str(HERE)).replace("{options}", options))
        (folder / name).chmod(0o755)

    return install


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A build folder as it is after step simulate, but for graphs and reports that the next steps do not read."""
    return after_simulate(tmp_path_factory.mktemp("simulated") / "out", "rtl")


def after_simulate(folder, route):
    options = Options(model="bireal18", strategy="qat", target="pynq-z2", route=route, output=folder)
    build = Build(options, Workspace(folder))
    build.workspace.save_graph(small_network(), "hardware")
    model, target = build.graph("hardware"), build.target
    emit_hls(model, build.workspace.hls, build_id=build.build_id(), part=target.part, clock_mhz=target.clock_mhz)
    emit_rtl(model, build.workspace.rtl, build_id=build.build_id(), clock_mhz=target.clock_mhz)
    done = STEPS[: NAMES.index("vivado")]
    for name in (name for step in done for name in step.leaves):
        (folder / name).touch()
    build.workspace.save_text(build.workspace.reports / "plan.json", '{"plan": {"cycles_per_frame": 294912}}')
    for step in done:
        build.workspace.finish(step.name, keys(build, STEPS)[step.name], 1.0)
    return folder


@pytest.fixture
def folder(simulated, tmp_path):
    return shutil.copytree(simulated, tmp_path / "out")


@pytest.fixture
def hls_folder(tmp_path):
    """The same of a build that is planned for the HLS route."""
    return after_simulate(tmp_path / "hls", "hls")


def build_id(folder):
    return Build(
        Options(model="bireal18", strategy="qat", target="pynq-z2", output=folder), Workspace(folder)
    ).build_id()


def bitfile(capsys, folder, *words):
    return flow(capsys, "--output", folder, "--to-step", "bitfile", "--bitfile", *words)


def report(folder):
    return json.loads((folder / "report" / "bitfile.json").read_text())


def worked(said):
    """The steps that were not passed over."""
    found = re.findall(rf"^({'|'.join(NAMES)}): (.*)", said, re.MULTILINE)
    return [name for name, text in found if not text.startswith(("finished before", "not asked", "running since"))]


def test_bitfile(path, folder, capsys):
    path("vivado", VIVADO, "slack 0.5")
    code, out, err = bitfile(capsys, folder)
    assert code == 0, err
    assert re.search(rf"^vivado: running since \d\d:\d\d, output in {folder}/logs/vivado.log$", out, re.MULTILINE)
    assert report(folder) == {"route": "rtl", **FIGURES, "worst_negative_slack_ns": 0.5, "timing_met": True}
    assert [file.name for file in results(folder / "vivado", build_id(folder))] == [
        "accelerator.bit",
        "accelerator.hwh",
    ]
    assert "written: " in (folder / "logs" / "vivado.log").read_text()


def test_missed_timing_is_loud_but_no_error(path, folder, capsys):
    path("vivado", VIVADO, "slack -0.3")
    code, out, _ = bitfile(capsys, folder)
    assert code == 0 and "TIMING IS NOT MET: the worst slack is -0.3 ns at 100 MHz" in out
    assert report(folder)["timing_met"] is False and report(folder)["worst_negative_slack_ns"] == -0.3
    assert results(folder / "vivado", build_id(folder))


@pytest.mark.parametrize(
    ("script", "options", "message"),
    [
        (FAILURE, "", "ERROR: [Synth 8-439] module 'sum' not found"),
        (VIVADO, "progress 45%", "synth_1 stopped at 45% (failed)"),
    ],
)
def test_a_failed_run_shows_its_errors(path, folder, capsys, script, options, message):
    path("vivado", VIVADO)
    assert bitfile(capsys, folder)[0] == 0
    path("vivado", script, options)
    code, _, err = bitfile(capsys, folder, "--from-step", "bitfile")
    assert code == 1
    assert "error: vivado ended with status 1:" in err and message in err and "INFO" not in err
    assert f"all that it said is in {folder}/logs/vivado.log" in err.replace("\n", " ")
    assert not (folder / "report" / "bitfile.json").exists()


def test_last_errors():
    log = 'a\nERROR: one\nb\nthe slack\n    while executing\n"error x"\nINFO: bye'
    assert last_errors(log) == ["ERROR: one", "the slack"]
    assert last_errors("1\n2\n3\n4\n5\n6\n7") == ["3", "4", "5", "6", "7"]
    assert last_errors("") == []


def test_says_that_it_still_runs(path, folder, capsys, monkeypatch):
    monkeypatch.setattr(flow_vendor, "SECONDS_BETWEEN_LINES", 0.2)
    path("vivado", "sleep 1\n" + VIVADO)
    _, out, _ = bitfile(capsys, folder)
    assert len(re.findall(r"^vivado: running since \d\d:\d\d, for 0 minutes$", out, re.MULTILINE)) >= 2


@pytest.mark.parametrize(("route", "message"), [("rtl", "vivado not found"), ("hls", "vitis_hls and vivado not found")])
def test_missing_tools_are_named_before_anything_is_built(path, tmp_path, capsys, route, message):
    code, out, err = flow(capsys, "--output", tmp_path / "new", "--bitfile", "--route", route)
    assert code == 1 and out == ""
    assert message in err and "settings64.sh" in err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--bitfile", "--target", "zcu104"], "zcu104: the Vivado scripts know the processor of Zynq-7000"),
        (["--bitfile", "--route", "vhdl"], "route 'vhdl' is unknown: use hls or rtl"),
        (["--route", "vhdl"], "route 'vhdl' is unknown: use hls or rtl"),
        (["--bitfile", "--to-step", "rtl"], "step bitfile is not between --from-step export and --to-step rtl"),
    ],
)
def test_wrong_calls(path, tmp_path, capsys, words, message):
    path("vivado", VIVADO)
    code, _, err = flow(capsys, "--output", tmp_path / "new", *words)
    assert code == 1 and message in err.replace("\n", " ")
    assert not (tmp_path / "new").exists()


def test_hls_route(path, hls_folder, capsys):
    """Vitis HLS first; the package takes none of it."""
    folder = hls_folder
    path("vivado", VIVADO)
    path("vitis_hls", VITIS_HLS)
    code, out, err = bitfile(capsys, folder, "--route", "hls")
    assert code == 0, err
    assert "vitis_hls: running since" in out and "the driver does not run this bitfile" in out
    assert report(folder)["route"] == "hls"
    assert report(folder)["hls"]["cosimulation"] == "Pass" and report(folder)["hls"]["used"]["LUT"] == 8000
    assert "Vitis HLS: a frame takes 300,000 cycles by csynth.xml, and 294,912 by the plan" in out
    assert len(results(folder / "vivado_hls", build_id(folder))) == 2 and not results(
        folder / "vivado", build_id(folder)
    )


@pytest.mark.parametrize(
    ("change", "file", "message"),
    [
        ("s/>7.3</>12.5</", "syn/report/csynth.xml", "the clock is estimated at 12.5 ns instead of 10"),
        (
            "s/PipelineII>1</PipelineII>2</",
            "syn/report/csynth.xml",
            "loop VITIS_LOOP_2_1 of engine takes a beat every 2",
        ),
        ("s/>20</>300</", "syn/report/csynth.xml", "BRAM_18K 300 of 280 on the device"),
        ("s/Pass/Fail/", "sim/report/accelerator_cosim.rpt", "cosimulation ended with Fail"),
    ],
)
def test_what_vitis_hls_made_stops_the_build(path, hls_folder, capsys, change, file, message):
    folder = hls_folder
    path("vivado", VIVADO)
    path("vitis_hls", f"{VITIS_HLS}\nsed -i '{change}' accelerator/solution1/{file}")
    code, _, err = bitfile(capsys, folder, "--route", "hls")
    assert code == 1 and message in err.replace("\n", " ")
    assert not (folder / "logs" / "vivado.log").exists() and not (folder / "report" / "bitfile.json").exists()


def test_hls_route_where_there_is_only_vitis_run(path, hls_folder, capsys):
    path("vivado", VIVADO)
    path("vitis-run", VITIS_HLS.replace("-f run", "--mode hls --tcl run"))
    assert bitfile(capsys, hls_folder, "--route", "hls")[0] == 0
    assert (hls_folder / "logs" / "vitis_hls.log").is_file()


def test_resume_does_what_is_missing(path, folder, capsys):
    path("vivado", VIVADO)
    plain = flow(capsys, "--output", folder, "--to-step", "bitfile")
    assert worked(plain[1]) == ["vivado"] and "bitfile: not asked for with --bitfile" in plain[1]
    assert not (folder / "report" / "bitfile.json").exists()
    assert worked(bitfile(capsys, folder)[1]) == ["bitfile"]
    assert worked(bitfile(capsys, folder)[1]) == []
    assert worked(flow(capsys, "--output", folder, "--to-step", "bitfile")[1]) == []
    assert report(folder)["route"] == "rtl"
    (folder / "vivado" / "build.tcl").write_text("")
    assert worked(bitfile(capsys, folder, "--from-step", "vivado")[1]) == ["vivado", "bitfile"]


def test_another_route_is_planned_again(folder):
    found = {}
    for route in ("rtl", "hls"):
        options = Options(model="bireal18", strategy="qat", target="pynq-z2", route=route, output=folder)
        progress = Progress(Build(options, Workspace(folder)), STEPS)
        found[route] = [step.name for step in STEPS if progress.is_finished(step)]
    assert found["hls"] == list(NAMES[: NAMES.index("plan")])
    assert found["rtl"] == list(NAMES[: NAMES.index("vivado")])


def test_other_boards_get_a_note(simulated, tmp_path, path, capsys):
    folder = shutil.copytree(simulated, tmp_path / "kv260")
    code, out, _ = flow(capsys, "--output", folder, "--target", "kv260", "--from-step", "vivado", "--to-step", "vivado")
    assert code == 0 and "kv260: the Vivado scripts know the processor of Zynq-7000 parts" in out.replace("\n", " ")
    for name in ("vivado", "vivado_hls"):
        assert [file.name for file in (folder / name).iterdir()] == ["README.txt"]
        assert "kv260" in (folder / name / "README.txt").read_text()


def test_interrupt_stops_all_that_vivado_started(path, folder, tmp_path):
    path("vivado", f"trap '' INT\nsleep 300 &\necho $! > {tmp_path}/run\nwait")
    words = ["build", "--output", folder, "--to-step", "bitfile", "--bitfile"]
    # A shell starts what runs in its background with SIGINT ignored.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from flow.cli import main; main()"
    call = [sys.executable, "-c", code, *map(str, words)]
    checkout = Path(cli.__file__).parents[2]
    process = subprocess.Popen(call, cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(lambda: (tmp_path / "run").exists() and (tmp_path / "run").read_text().strip())
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and "stopped in step bitfile" in out
    wait_for(lambda: not is_running(int((tmp_path / "run").read_text())))


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def is_running(pid):
    with contextlib.suppress(OSError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_whole_builds(path, tmp_path, capsys, monkeypatch):
    """Without a bitfile, then with one, which only does what is missing, then without again; on few images."""
    few = functools.partial(Options.checked, golden_images=8, csim_images=4, rtl_images=2, accuracy_images=16)
    monkeypatch.setattr(Options, "checked", few)
    network = settled_network(width=4)
    metadata = Metadata(
        network=network.config, data="none", command="none", epochs=0, epochs_planned=1, seed=0, seconds=0
    )
    save_checkpoint(tmp_path / "small.popbin", network, metadata)
    words = ["--checkpoint", tmp_path / "small.popbin", "--output", tmp_path / "out"]
    summary = tmp_path / "out" / "report" / "summary.json"

    code, out, err = flow(capsys, *words)
    assert code == 0, err
    assert json.loads(summary.read_text())["implementation"] is None and "bitfile" not in worked(out)
    assert (tmp_path / "out" / "vivado" / "build.tcl").is_file()

    path("vivado", VIVADO, "slack -0.3")
    code, out, err = flow(capsys, *words, "--bitfile")
    assert code == 0, err
    assert worked(out) == ["bitfile", "package", "report"]
    implementation = json.loads(summary.read_text())["implementation"]
    assert implementation == {"route": "rtl", **FIGURES, "worst_negative_slack_ns": -0.3, "timing_met": False}
    assert "25,770 lut" in out and "TIMING NOT MET" in out

    code, out, err = flow(capsys, *words)
    assert code == 0 and worked(out) == []
    assert json.loads(summary.read_text())["implementation"] == implementation
