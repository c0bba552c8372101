"""Every module of rtl/ and an emitted top through two front ends that are strict in different things, without a waiver:
Verilator's lint (widths, unused bits, empty pins, blocking assignments, loops) and slang (the language, names declared
before they are used).
"""

import re
import subprocess
import sys

import pytest

from flow.emit.rtl import emit_rtl
from flow.library import rtl_folder
from flow.sim.build import VERILATOR_FLAGS
from tests.graphs import pooled_network, small_network

MODULES = sorted(path.stem for path in rtl_folder().glob("*.sv"))
NETWORKS = {"pooled": pooled_network, "small": small_network}  # without and with weights in DDR

# In a process of its own, which prints where it likes. Warnings are errors.
SLANG = """\
import sys
from pyslang.driver import Driver

driver = Driver()
driver.addStandardArgs()
ready = driver.parseCommandLine(sys.argv[1]) and driver.processOptions() and driver.parseAllSources()
sys.exit(0 if ready and driver.runFullCompilation(True) else 1)
"""


@pytest.fixture(scope="module")
def tops(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tops")
    return {
        name: emit_rtl(network(), folder / name, build_id="0" * 32, clock_mhz=100) / "rtl" / "accelerator_top.sv"
        for name, network in NETWORKS.items()
    }


def run(*command) -> str:
    """Return what a tool has to say: nothing where it is content."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    output = done.stdout + done.stderr
    assert done.returncode or not output.strip(), output
    return output if done.returncode else ""


def verilator(source, *flags) -> str:
    lint = ["verilator", "--lint-only", "-Wall", "--no-timing", *flags, "--top-module", source.stem]
    return run(*lint, "-y", source.parent, "-y", rtl_folder(), source)


def slang(source, *flags) -> str:
    words = ["slang", "-Werror", *flags, "--top", source.stem, "-y", source.parent, "-y", rtl_folder(), source]
    return run(sys.executable, "-c", SLANG, " ".join(str(word) for word in words))


@pytest.mark.parametrize("module", MODULES)
def test_module(module):
    source = rtl_folder() / f"{module}.sv"
    assert verilator(source) == ""
    assert slang(source) == ""


@pytest.mark.parametrize("define", ["-DSYNTHESIS", "-DFLOW_TAPS"])
@pytest.mark.parametrize("name", NETWORKS)
def test_top(tops, name, define):
    assert verilator(tops[name], define) == ""
    assert slang(tops[name], define) == ""


def test_no_waivers():
    """Verilator's are in comments; the build's own flags are none either."""
    assert not [path for path in rtl_folder().glob("*.sv") if "lint_off" in path.read_text()]
    assert not [flag for flag in VERILATOR_FLAGS if flag.startswith("-Wno")]


def test_slang_finds_a_use_before_its_declaration(tops, tmp_path):
    """Vivado's xvlog stops at it, and Verilator does not see it."""
    top = tmp_path / "accelerator_top.sv"
    text = tops["pooled"].read_text()
    uses = "".join(line + "\n" for line in text.splitlines() if line.startswith("  assign {layer_valid["))
    place = "  // ---------------------------------------------------------------- streams\n"
    assert uses and text.count(place) == 1
    top.write_text(text.replace(uses, "").replace(place, uses + place))
    assert verilator(top, "-y", tops["pooled"].parent) == ""
    assert "used before its declaration" in slang(top, "-y", str(tops["pooled"].parent))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("assign count_o = count_q;", "assign count_o = {1'b0, count_q};"),
        ("logic [CountBits-1:0] count_q", "logic [CountBits:0] count_q"),
    ],
)
def test_verilator_finds_a_width(tmp_path, old, new):
    text = (rtl_folder() / "counter.sv").read_text()
    assert text.count(old) == 1
    source = tmp_path / "counter.sv"
    source.write_text(text.replace(old, new))
    assert "Warning-WIDTH" in verilator(source)


@pytest.mark.parametrize("module", MODULES)
def test_documentation(module):
    """A `///` header, and a line for each parameter and for the first port of each group but the clock."""
    text = (rtl_folder() / f"{module}.sv").read_text()
    assert text.startswith("/// ")
    assert text.count("\nmodule ") == 1 and f"\nmodule {module} " in text
    interface = re.search(rf"^module {module} (.*?)^\);", text, re.MULTILINE | re.DOTALL)[1]
    parameters = [line for line in interface.splitlines() if re.match(r"\s+parameter ", line)]
    assert [line for line in parameters if "//" not in line] == []
    ports = re.findall(
        r"^\s+(?:input|output) +logic(?: signed)? *(?:\[[^\n]*?\])? *(\w+),?(.*)$", interface, re.MULTILINE
    )
    assert len(ports) == len(re.findall(r"^\s+(?:input|output) ", interface, re.MULTILINE))
    groups = {}
    for name, comment in ports:
        group = re.sub(r"_(data|valid|ready)_[io]$", "", name)
        group = re.sub(r"^(s_axi|m_axi)_.*", r"\1", group)
        groups.setdefault(group, comment.strip())
    resets_and_clocks = {"clk_i", "rst_ni"}  # a reset has a line where it does more than empty a register
    assert [name for name, comment in groups.items() if not comment and name not in resets_and_clocks] == []
