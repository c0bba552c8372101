"""Mistakes in the templates of the Tcl scripts: each must be noticed when the script runs against its tool's model."""

import re
import shutil

import jinja2
import pytest

import flow.emit.core
from flow.emit.vivado import emit_vivado
from flow.plan.target import load_target
from flow.vendor import ROUTES
from tests.emit.projects import FOLDERS, GOLDEN, GOLDEN_RUN_HLS, emitted_project, needs_tclsh, problems, run, run_hls

pytestmark = needs_tclsh
VIVADO, HLS = (flow.emit.core.TEMPLATES / route for route in ("vivado", "hls"))
COMMAND = re.compile(
    r"(?:^ *|\[)((?:ipx::)?[a-z0-9]+(?:_[a-z0-9]+)+)\b", re.MULTILINE
)  # of a tool: all have underscores
CIRCUMSTANCES = ({}, {"inferred": 0}, {"board": 0})  # branches of the scripts that only another Vivado takes


def misspelt(template):
    """Yield (line number, template with one command misspelt) for every command but those in an error's message."""
    lines = template.read_text().splitlines(keepends=True)
    for index, line in enumerate(lines):
        for match in COMMAND.finditer("" if line.lstrip().startswith("error") else line):
            wrong = line[: match.end(1) - 1] + line[match.end(1) :]
            yield index + 1, "".join([*lines[:index], wrong, *lines[index + 1 :]])


def without_lines(template, start):
    """(line number, template without it) for every line that starts with ``start``, blanks aside."""
    lines = template.read_text().splitlines(keepends=True)
    for index, line in enumerate(lines):
        if line.lstrip().startswith(start):
            yield index + 1, "".join(lines[:index] + lines[index + 1 :])


@pytest.fixture
def emit(original, tmp_path, monkeypatch):
    """A function that emits the scripts of a route from a template with other text."""
    templates = shutil.copytree(VIVADO, tmp_path / "templates" / "vivado")
    monkeypatch.setattr(flow.emit.core, "TEMPLATES", templates.parent)

    def emit_from(name, text, route):
        (templates / name).write_text(text)
        return emit_vivado(original / route, original / FOLDERS[route], load_target("pynq-z2"), 100, route)

    return emit_from


@pytest.mark.parametrize("name", ["build.tcl.j2", "package_ip.tcl.j2"])
def test_misspelt_vivado_commands(emit, name):
    count = 0
    for line, text in misspelt(VIVADO / name):
        scripts = emit(name, text, "rtl")
        runs = (run(scripts, **circumstances) for circumstances in CIRCUMSTANCES)
        assert any(status and "unknown command" in output for status, output, _, _ in runs), f"{name}:{line}"
        count += 1
    assert count > 30


@pytest.mark.parametrize("route", ROUTES)
def test_dropped_connections(emit, route):
    count = 0
    for line, text in without_lines(VIVADO / "build.tcl.j2", "connect_bd_"):
        status, output, log, model = run(emit("build.tcl.j2", text, route))
        assert status == 0, output
        assert problems(model) and log != GOLDEN[route].read_text(), f"build.tcl.j2:{line}"
        count += 1
    assert count == 14


@pytest.mark.parametrize(
    ("old", "new", "route"),
    [
        ('"%02d" % loop.index0', '"%02d" % 0', "hls"),  # all masters on one port
        ("accelerator/{{ ip.logits }}", "accelerator/{{ ip.pixels }}", "hls"),
        ("-part {{ part | braced }}", "-part xc7z010clg400-1", "rtl"),
        ("CONFIG.NUM_SI {{ slaves }}", "CONFIG.NUM_SI 1", "rtl"),
        ("{{ name }} {{ mode }}", "{{ name }} master", "rtl"),
    ],
)
def test_wrong_values(emit, old, new, route):
    name = "package_ip.tcl.j2" if "mode" in old else "build.tcl.j2"
    text = (VIVADO / name).read_text()
    assert old in text
    status, _, log, model = run(emit(name, text.replace(old, new), route))
    assert status != 0 or problems(model) or log != GOLDEN[route].read_text()


@pytest.fixture(scope="module")
def hls(tmp_path_factory):
    return emitted_project(tmp_path_factory.mktemp("hls"), "hls")


def run_template(project, text):
    """Return (exit status, stdout and stderr, log) of run_hls.tcl from another template with the project's values."""
    script = project / "run_hls.tcl"
    rendered, template = script.read_text(), (HLS / "run_hls.tcl.j2").read_text()
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    files = re.findall(r"^add_files (?:-tb )?(\S+)", rendered, re.MULTILINE)
    values = {
        "build_id": "0" * 32,
        "part": "xc7z020clg400-1",
        "period": "10",
        "sources": [name for name in files if name.startswith("src/")],
        "testbench": [name for name in files if not name.startswith("src/")],
    }
    assert environment.from_string(template).render(values) == rendered
    try:
        script.write_text(environment.from_string(text).render(values))
        return run_hls(project)
    finally:
        script.write_text(rendered)


def test_run_hls_as_it_is(hls):
    status, output, log = run_hls(hls)
    assert status == 0, output
    assert log == GOLDEN_RUN_HLS.read_text()
    assert (hls / "accelerator" / "solution1" / "impl" / "ip" / "component.xml").is_file()


def test_misspelt_hls_commands(hls):
    lines = []
    for line, text in misspelt(HLS / "run_hls.tcl.j2"):
        status, output, _ = run_template(hls, text)
        assert status != 0 and "unknown command" in output, f"run_hls.tcl.j2:{line}"
        lines.append(line)
    assert len(lines) == 11


def test_dropped_hls_commands(hls):
    """An error where a later command needs it, another log in any case."""
    text = (HLS / "run_hls.tcl.j2").read_text()
    commands = re.findall(r"^(?:open|set|add|create|csim|csynth|cosim|export)_(?:.*\\\n)*.*\n", text, re.MULTILINE)
    assert len(commands) == 11
    for command in commands:
        status, _, log = run_template(hls, text.replace(command, "\n"))
        assert log != GOLDEN_RUN_HLS.read_text(), f"without {command}"
        assert (status == 0) == command.startswith(("csim", "cosim", "export")), f"without {command}"
