"""Reports of a build by node, from netlists that were made by hand; commands, summary and refusals."""

import json
import re
import types

import numpy as np
import pytest
from rich.console import Console

import flow
from flow.cli import main
from flow.errors import FlowError, VerificationError
from flow.files import LOCK
from flow.options import Options
from flow.plan.plan import Plan
from flow.plan.target import load_target
from flow.project import MANIFEST, write_manifest
from flow.report.console import plain_console
from flow.report.summary import _optional
from flow.report.synthesis import synthesis
from flow.run import run
from flow.steps.synth import synth
from flow.synth import report as report_module
from flow.synth.delays import LEVEL_NS
from flow.synth.parts import Design, Part
from flow.synth.report import SynthesisedBuild, by_kind
from flow.synth.synthesis import MAPPED, MEMORIES
from flow.synth.yosys import PREPARING, Yosys
from flow.workspace import Workspace

from .netlists import cell, flip_flop, module, netlist

COST = {"lut": 10.0, "ff": 3.0, "bram36": 0.5, "dsp": 0.0}
PORTS = {"in_ready_o": ("output", 3), "out_ready_i": ("input", 4)}


def part(name):
    return Part(name, (), (("output", "in_ready_o", 1),), (), ())


GLUE = Part("top", (), (), (), ())


def netlist_of(name):
    """Every stage passes ready through a LUT and has a register; ``engine`` has a memory too."""
    cells = {"pass": cell("LUT1", I0=4, O=3), "q": flip_flop(5, 6), "d": cell("LUT1", I0=6, O=5)}
    if name == "engine":
        cells["weights.0.0"] = cell("RAMB18E1")
    return netlist(part=module(PORTS, cells, {"q": 6}))


def glue():
    boxes = {name: module(PORTS, {}, box=True) for name in ("engine", "window", "control")}
    wires = {"Engine_0": (10, 11), "Window_0": (11, 12), "Window_1": (12, 13), "i_control": (20, 21)}
    kinds = {"Engine_0": "engine", "Window_0": "window", "Window_1": "window", "i_control": "control"}
    cells = {name: cell(kinds[name], in_ready_o=a, out_ready_i=b) for name, (a, b) in wires.items()}
    ports = {"ready_o": ("output", 10), "ready_i": ("input", 13)}
    return netlist(top=module(ports, {**cells, "q": flip_flop(30, 31)}), **boxes)


def manifest(workspace, **fields):
    return {"build_id": workspace.build_id("pynq-z2"), "clock_mhz": 100.0, "top": "top", "regions": [], **fields}


@pytest.fixture
def build(tmp_path, monkeypatch):
    """A build folder whose four instances are synthesised without Yosys."""
    workspace = Workspace(tmp_path / "build")
    (workspace.rtl).mkdir()
    (workspace.graphs / "hardware.onnx").write_bytes(b"a graph")
    write_manifest(workspace.rtl, manifest(workspace), {})
    nodes = {name: {"kind": name.split("_")[0], **COST} for name in ("Engine_0", "Window_0", "Window_1")}
    workspace.save_json("plan", {"nodes": nodes})
    plan = Plan(network="0" * 16, target="pynq-z2", clock_mhz=100, requested_fps=1, nodes={}, fifos={})
    for path in (workspace.plan, workspace.planned):
        plan.save(path)
    parts = {name: part(name) for name in ("engine", "window", "control")}
    instances = {"Engine_0": "engine", "Window_0": "window", "Window_1": "window", "i_control": "control"}
    design = Design("top", GLUE, {name: parts[kind] for name, kind in instances.items()})
    rows = [{"name": "weights", "words": 512, "bits": 36, "writable": False, "style": "distributed"}]
    folders = {}
    for found, content in ((GLUE, glue()), *((parts[name], netlist_of(name)) for name in parts)):
        folders[found] = tmp_path / found.module
        folders[found].mkdir()
        (folders[found] / MAPPED).write_text(json.dumps(content))
        (folders[found] / MEMORIES).write_text(json.dumps({"part": rows} if found.module == "engine" else {}))
    monkeypatch.setattr(report_module, "find_yosys", lambda: Yosys((), "Yosys 0.70"))
    monkeypatch.setattr(report_module, "read_design", lambda folder, top, yosys: design)
    monkeypatch.setattr(report_module, "synthesise", lambda parts, yosys, jobs, log, labels: folders)
    return workspace


def test_resources_by_node_beside_the_plan(build):
    found = SynthesisedBuild(build).synth()
    assert found["origin"] == "synthesised by Yosys 0.70"
    assert list(found["nodes"]) == ["Engine_0", "Window_0", "Window_1", "control"]
    engine, control = found["nodes"]["Engine_0"], found["nodes"]["control"]
    assert (engine["lut"], engine["ff"], engine["bram36"], engine["plan"]) == (2, 1, 0.5, COST)
    assert (control["lut"], control["ff"]) == (2, 2)  # the instance that is no node, and the top's own register
    assert found["accelerator"]["lut"] == 8
    platform, device = load_target("pynq-z2").platform, load_target("pynq-z2").resources
    assert found["total"]["lut"] == 8 + platform.lut
    assert found["share"]["lut"] == round((8 + platform.lut) / device.lut, 3)
    assert found["accelerator_plan"]["bram36"] == 1.5
    assert by_kind(found["nodes"])["Window"]["count"] == 2
    assert by_kind(found["nodes"])["Window"]["plan"]["lut"] == 20


def test_a_memory_that_did_not_map_as_planned_is_named(build):
    (memory,) = SynthesisedBuild(build).synth()["memories_not_as_planned"]
    assert (memory["instance"], memory["name"]) == ("Engine_0", "weights")
    assert (memory["style"], memory["mapped"]) == ("distributed", "block")


def test_timing_of_the_whole_top(build):
    found = SynthesisedBuild(build).timing(1.0)
    assert found["origin"] == "estimated from the netlist"
    assert found["ready_chain"] == ["Window_1", "Window_0", "Engine_0"]
    assert found["paths"][0]["ns"] == found["worst_ns"] == 3.0
    assert (found["slack_ns"], found["fmax_mhz"]) == (7.0, 333.3)
    assert found["nodes"]["Window_0"] == {"levels": 1, "ns": 1.54}


def test_the_commands_print_and_store(build, capsys):
    for command in (["synth", str(build.folder), "--quiet"], ["timing", str(build.folder), "--nodes", "--quiet"]):
        with pytest.raises(SystemExit) as ended:
            main(command)
        assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "Engine_0.weights (512 words of 36 bits): block, not distributed as wanted" in said
    assert "slack 7 ns at 100 MHz, at most 333.3 MHz: estimated from the netlist" in said
    assert "longest chain of ready: through 3 instances: Window_1 > Window_0 > Engine_0" in said
    assert build.load_json("synth")["accelerator"]["lut"] == 8
    assert build.load_json("timing")["level_ns"] == LEVEL_NS


@pytest.mark.parametrize("prepared", [True, False])
def test_the_first_run_of_the_wheel_is_announced(build, monkeypatch, prepared):
    monkeypatch.setattr(Yosys, "is_prepared", lambda self: prepared)
    lines = []
    SynthesisedBuild(build, log=lines.append)
    assert lines == ([] if prepared else [PREPARING])


def test_a_report_of_other_rtl_is_not_in_the_summary(build):
    assert synthesis(build) is None
    result = flow.load(build.folder)
    result.synth()
    result.timing()
    found = synthesis(build)
    assert found["origin"] == "synthesised by Yosys 0.70"
    assert found["timing"]["worst_path"]["ns"] == found["timing"]["worst_ns"]
    write_manifest(build.rtl, manifest(build, build_id="another"), {})
    assert synthesis(build) is None


@pytest.fixture
def reported(build):
    """A build with both reports of the commands."""
    result = flow.load(build.folder)
    result.synth()
    result.timing()
    build.record.read()
    return build


@pytest.mark.parametrize("name", ["synth", "timing"])
def test_a_report_of_a_command_that_was_edited_is_not_believed(reported, name):
    path = reported.reports / f"{name}.json"
    path.write_text(path.read_text().replace("Yosys 0.70", "Yosys 0.71"))
    with pytest.raises(
        VerificationError, match=rf"{name}\.json is not what step synth wrote: .*run flow {name} \S+ again"
    ):
        synthesis(Workspace(reported.folder))
    getattr(flow.load(reported.folder), name)()
    assert synthesis(Workspace(reported.folder))["origin"] == "synthesised by Yosys 0.70"


@pytest.mark.parametrize("name", ["synth", "timing"])
def test_a_report_of_the_step_stays_known_when_a_command_writes_the_other(reported, name):
    reported.record.finish("synth", "key", 1.5, [reported.reports / f"{n}.json" for n in ("synth", "timing")])
    getattr(flow.load(reported.folder), name)()
    reported.record.read()
    assert sorted(reported.record.steps["synth"].files) == ["report/synth.json", "report/timing.json"]
    assert "synth" not in reported.record.finished()  # so that --synth does it again


DAMAGES = {
    "half": (lambda text: text[: len(text) // 2], "is damaged"),
    "empty": (lambda text: "{}", "has another form than flow gives it .origin is missing"),
    "a list": (lambda text: "[]", "has another form"),
    "a word": (
        lambda text: text.replace('"lut": 8', '"lut": "many"').replace('"slack_ns": 7.0', '"slack_ns": "x"'),
        "'",
    ),
    "no number": (
        lambda text: text.replace('"lut": 8', '"lut": NaN').replace('"slack_ns": 7.0', '"slack_ns": NaN'),
        "nan",
    ),
    "no text": (lambda text: "\udcff", "is damaged"),
    "a folder": (None, "cannot be read .Is a directory."),
}


@pytest.mark.parametrize("name", ["synth", "timing"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_report_is_left_out_and_says_how_it_is_made_again(reported, name, damage):
    change, text = DAMAGES[damage]
    path = reported.reports / f"{name}.json"
    reported.record.forget(["synth"])
    if change:
        path.write_bytes(change(path.read_text()).encode(errors="surrogateescape"))
    else:
        path.unlink()
        path.mkdir()
    made, (reason,) = _optional(synthesis, reported)
    assert made is None and re.search(text, reason)
    assert reason.endswith(f": run flow {name} {reported.folder} again, or remove it")


def test_a_folder_in_the_place_of_a_report_is_named_before_anything_is_synthesised(reported, monkeypatch, capsys):
    path = reported.reports / "synth.json"
    path.unlink()
    path.mkdir()
    monkeypatch.setattr(report_module, "synthesise", None)
    with pytest.raises(FlowError, match=r"synth\.json is a folder, .*: remove it"):
        flow.load(reported.folder).synth()
    with pytest.raises(FlowError, match=r"synth\.json is a folder, .*: remove it"):
        reported.save_json("synth", {})


@pytest.mark.parametrize("command", ["synth", "timing"])
@pytest.mark.parametrize("place", ["folder", "report"])
def test_a_build_that_cannot_be_written_is_refused_before_anything_is_synthesised(
    build, monkeypatch, capsys, command, place
):
    monkeypatch.setattr(report_module, "synthesise", None)
    if place == "folder":
        (build.folder / LOCK).mkdir()
    else:
        monkeypatch.setattr("flow.workspace.os.access", lambda path, mode: path != build.reports)
    with pytest.raises(SystemExit):
        main([command, str(build.folder)])
    said = capsys.readouterr().err
    assert "cannot be written" in said and "make it writable, or work on a copy" in said and "--output" not in said


def test_the_summary_is_refreshed(reported, monkeypatch):
    monkeypatch.setattr("flow.report.summary.put_together", lambda workspace: {"level": workspace.load_json("timing")})
    flow.load(reported.folder).timing(0.5)
    assert not (reported.reports / "summary.json").exists()  # the build did not come so far
    reported.save_json("summary", {})
    flow.load(reported.folder).timing(0.4)
    assert reported.load_json("summary")["level"]["level_ns"] == 0.4


def test_a_summary_that_cannot_be_refreshed_is_said(reported):
    reported.save_json("summary", {"old": 1})
    lines = []
    flow.load(reported.folder).synth(log=lines.append)
    assert lines[-1].startswith("summary.json is as before: ") and reported.load_json("summary") == {"old": 1}


def test_the_step_stores_both_reports(build):
    stored = {}
    state = types.SimpleNamespace(workspace=build, log=print, report=stored.__setitem__)
    synth(state)
    assert stored["synth"]["accelerator"]["lut"] == 8
    assert stored["timing"]["fmax_mhz"] == 333.3


def test_a_call_that_ends_before_the_step_is_refused(tmp_path):
    with pytest.raises(FlowError, match="step synth is not between --from-step export and --to-step rtl: leave out"):
        run(Options(synth=True, output=tmp_path), last="rtl")


@pytest.mark.parametrize(
    ("first", "last", "options"),
    [("synth", "synth", "--synth"), ("bitfile", "bitfile", "--bitfile"), ("bitfile", "synth", "--bitfile and --synth")],
)
def test_a_call_that_would_do_nothing_says_what_to_give(tmp_path, first, last, options):
    with pytest.raises(
        FlowError, match=f"--from-step {first} and --to-step {last} leave nothing to do: give {options}$"
    ):
        run(Options(output=tmp_path / "out"), first, last)
    assert not (tmp_path / "out").exists()


def test_a_build_without_rtl_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(report_module, "find_yosys", lambda: Yosys((), "Yosys 0.70"))
    with pytest.raises(FlowError, match="holds no RTL project: build to the step rtl first"):
        SynthesisedBuild(Workspace(tmp_path))


def test_an_edited_plan_changes_nothing_of_the_rtl_that_is_there(build):
    """Target and clock are those that the RTL was planned for, until flow build takes the edited plan."""
    text = build.plan.read_text()
    build.plan.write_text(text.replace("pynq-z2", "zcu104").replace("clock_mhz: 100", "clock_mhz: 250"))
    assert build.edited_plan()
    made = SynthesisedBuild(build)
    assert (made.synth()["target"], made.synth()["device"]["lut"]) == ("pynq-z2", 53200)
    assert (made.timing()["clock_mhz"], made.timing()["slack_ns"]) == (100, 7.0)
    build.plan.write_text("damaged: [")
    assert SynthesisedBuild(build).target.name == "pynq-z2"


@pytest.mark.parametrize("change", ["graph", "target"])
def test_rtl_of_an_earlier_plan_is_refused(build, change):
    """As after ``flow build ... --to-step plan``."""
    if change == "graph":
        (build.graphs / "hardware.onnx").write_bytes(b"another graph")
    else:
        build.planned.write_text(build.planned.read_text().replace("pynq-z2", "zcu104"))
    with pytest.raises(FlowError, match=r"rtl is not the RTL of the plan in .*planned\.yaml, which was made later"):
        SynthesisedBuild(build)


def test_a_planned_yaml_or_manifest_that_was_edited_is_refused(build):
    build.record.finish("rtl", "key", 0, [build.planned, build.rtl / MANIFEST])
    for path in (build.planned, build.rtl / MANIFEST):
        text = path.read_text()
        path.write_text(text.replace("100.0", "250.0"))
        with pytest.raises(VerificationError, match=f"{path.name} is not what step rtl wrote"):
            SynthesisedBuild(build)
        path.write_text(text)


def test_a_node_that_the_rtl_does_not_have_is_named(build):
    plan = build.load_json("plan")
    plan["nodes"]["Fifo_0"] = plan["nodes"]["Window_0"]
    build.save_json("plan", plan)
    with pytest.raises(FlowError, match="Fifo_0 is in the plan and not in the RTL"):
        SynthesisedBuild(build).synth()


def test_rows_may_be_kinds(build):
    from flow.cli.synth import show

    console = Console(record=True, width=160, highlight=False, quiet=False)
    with console.capture() as capture:
        show(SynthesisedBuild(build).synth(), console, "kind")
    assert "Window (2)" in capture.get()


LONG = "WidthConverter_SignThreshold_0_out_of_the_second_branch"


def narrow(show, report, width):
    console = plain_console(width=width)
    with console.capture() as capture:
        show(report, console)
    return capture.get()


@pytest.mark.parametrize("width", [80, 120, 160])
def test_figures_of_a_large_network_are_whole_in_a_narrow_terminal(build, width):
    from flow.cli import synth, timing

    result = flow.load(build.folder)
    report = result.synth()
    row = report["nodes"]["Engine_0"] | {"lut": 123456, "lut_packed": 112233, "bram36": 134.5}
    text = narrow(synth.show, {**report, "nodes": {f"{LONG}_{n}": row for n in range(2)}}, width)
    lines = [line for line in text.splitlines() if line.startswith("WidthC")]
    assert len(lines) == 2 and all("123,456" in line and "112,233" in line and "134.5" in line for line in lines)
    report = result.timing()
    ends = {"start": f"{LONG}.i_a.q[0]", "end": f"{LONG}.i_b.q[1]", "instances": [LONG] * 5}
    text = narrow(timing.show, {**report, "paths": [report["paths"][0] | ends]}, width)
    line = next(line for line in text.splitlines() if "q[0]" in line)
    assert line.split()[:3] == ["3.00", "7.00", "3"] and "q[1]" in line


def simulated(build, monkeypatch, image, simulate):
    """The exit code of ``flow synth --simulate 2`` where ``simulate`` stands for the simulation of the netlist."""
    (build.rtl / MANIFEST).unlink()
    write_manifest(build.rtl, manifest(build, image=image), {})
    monkeypatch.setattr(SynthesisedBuild, "simulate", simulate)
    with pytest.raises(SystemExit) as ended:
        main(["synth", str(build.folder), "--quiet", "--simulate", "2"])
    return ended.value.code


@pytest.mark.parametrize("image", [[32, 32, 3], [8, 8, 1]])
def test_images_go_through_the_netlist(build, monkeypatch, capsys, image):
    def simulate(self, images):
        assert (images.dtype, images.shape) == (np.uint8, (2, *image))
        streams = {"a": np.zeros((2, 5, 5, 30)), "b": np.zeros((2, 1, 1, 8))}
        return types.SimpleNamespace(streams=streams, total_cycles=12345, seconds=2.4)

    assert simulated(build, monkeypatch, image, simulate) == 0
    said = capsys.readouterr().out
    assert (
        "2 images through the netlist: logits as golden, and 1,516 values of 2 streams (12,345 cycles in 2 s)" in said
    )


def test_one_image_is_no_images(build, monkeypatch):
    from flow.cli.synth import run_netlist

    ran = types.SimpleNamespace(streams={}, total_cycles=1, seconds=1.0)
    monkeypatch.setattr(SynthesisedBuild, "simulate", lambda self, images: ran)
    (build.rtl / MANIFEST).unlink()
    write_manifest(build.rtl, manifest(build, image=[32, 32, 3]), {})
    assert run_netlist(flow.load(build.folder), 1).startswith("1 image through the netlist")


def test_a_netlist_that_differs_ends_with_1(build, monkeypatch, capsys):
    def simulate(self, images):
        raise VerificationError("the netlist differs from the golden model: layer a: stream b: 1 of 2 values differ")

    assert simulated(build, monkeypatch, [32, 32, 3], simulate) == 1
    assert "the netlist differs from the golden model: layer a" in capsys.readouterr().err
