"""flow/emit/hls.py and flow/sim/csim.py: the emitted project against the golden model, and what they must refuse."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from flow.emit.hls import emit_hls
from flow.errors import FlowError, VerificationError
from flow.golden import Golden
from flow.project import check_project, sha256
from flow.sim.csim import CsimAccelerator
from tests.graphs import GraphBuilder, random_images, small_network

FRAMES = 10
TARGET = {"build_id": "test", "part": "xc7z020clg400-1", "clock_mhz": 100}
TCL_COMMANDS = (
    "open_project set_top add_files open_solution set_part create_clock csim_design csynth_design cosim_design "
    "export_design exit"
).split()


@pytest.fixture(scope="module")
def model():
    return small_network()


@pytest.fixture(scope="module")
def project(model, tmp_path_factory):
    return emit_hls(model, tmp_path_factory.mktemp("hls") / "small", **TARGET)


@pytest.fixture(scope="module")
def accelerator(project):
    return CsimAccelerator(project)


@pytest.fixture(scope="module")
def golden(model):
    """(images, logits, streams)"""
    streams = {}
    images = random_images(FRAMES)
    return images, Golden(model).execute(images, streams), streams


@pytest.fixture
def copy(project, tmp_path):
    return shutil.copytree(project, tmp_path / "copy")


def forge(project, name, edit):
    """Edits a file and its SHA-256 in the manifest."""
    path = project / name
    path.write_bytes(edit(path.read_bytes()))
    manifest = json.loads((project / "manifest.json").read_text())
    manifest["files"][name]["sha256"] = sha256(path.read_bytes())
    (project / "manifest.json").write_text(json.dumps(manifest))


def flip_first_word(text):
    """Flips the lowest bit of a table's first hex word."""
    return re.sub(rb"0x\w+", lambda match: b"0x%x" % (int(match[0], 16) ^ 1), text, count=1)


def flip_bit(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def differing(result, streams):
    return [name for name, values in streams.items() if not np.array_equal(result.streams[name], values)]


def test_logits_and_every_stream_equal_golden(accelerator, golden):
    images, logits, streams = golden
    result = accelerator.execute(images, record=True, processes=2)
    assert np.array_equal(result.logits, logits)
    assert result.streams.keys() == streams.keys()
    assert differing(result, streams) == []


def test_taps_the_first_frames_only(accelerator, golden):
    images, logits, streams = golden
    result = accelerator.execute(images, record=3, processes=1)
    assert np.array_equal(result.logits, logits)
    assert differing(result, {name: values[:3] for name, values in streams.items()}) == []
    assert accelerator.execute(images).streams == {}


def test_testbench_alone(accelerator, project, tmp_path):
    """As Vitis HLS runs it: files by their default names in the current directory."""
    for file in ("tb/images.bin", "tb/expected_logits.bin", "data/ddr_weights.bin"):
        shutil.copy(project / file, tmp_path)
    run = subprocess.run([accelerator.program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"PASS: 2 frames in \S+ seconds, 0 mismatches, 0 complaints of streams\n", run.stdout)
    expected = np.fromfile(tmp_path / "expected_logits.bin", "<i4")
    expected[13] += 1
    expected.tofile(tmp_path / "expected_logits.bin")
    run = subprocess.run([accelerator.program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert f"frame 1 class 3: {expected[13] - 1} instead of {expected[13]}\nFAIL" in run.stdout


def test_flipped_bits_are_found(project, tmp_path):
    rng = np.random.default_rng(5)
    files = sorted(json.loads((project / "manifest.json").read_text())["files"])
    for name in ["data/ddr_weights.bin", *rng.choice(files, 20)]:
        data = (project / name).read_bytes()
        copy = shutil.copytree(project, tmp_path / "flipped")
        (copy / name).write_bytes(flip_bit(data, int(rng.integers(8 * len(data)))))
        with pytest.raises(VerificationError, match=re.escape(name)) as error:
            check_project(copy)
        if "tables" in name or "ddr" in name:
            assert re.match(r"layer [\w.]+: ", str(error.value))
        shutil.rmtree(copy)


@pytest.mark.parametrize(
    "name, layer, bit",
    [
        ("src/tables/block1_xnor.hpp", "block1.xnor", 7),
        ("data/ddr_weights.bin", "block2.stationary", 1151),
        ("data/ddr_weights.bin", "block3.stationary", 2048),
    ],
)
def test_flipped_bit_names_its_layer(copy, name, layer, bit):
    (copy / name).write_bytes(flip_bit((copy / name).read_bytes(), bit))
    with pytest.raises(VerificationError, match=f"^layer {layer}: .*{name} is not what was emitted"):
        CsimAccelerator(copy)


@pytest.mark.parametrize(
    "name, tensor, edit",
    [
        ("src/tables/block1_xnor.hpp", "block1.xnor.out", flip_first_word),
        ("data/ddr_weights.bin", "block2.stationary.out", lambda data: flip_bit(data, 3)),
    ],
)
def test_forged_checksum_shows_in_the_streams(copy, golden, name, tensor, edit):
    images, _, streams = golden
    forge(copy, name, edit)
    result = CsimAccelerator(copy).execute(images, record=True)
    assert differing(result, streams)[0] == tensor


@pytest.fixture(scope="module")
def tiny_project(tmp_path_factory):
    g = GraphBuilder(8, 8, p=1)
    x = g.node("AvgPool", "halve", [g.beats_of(g.node("PixelOffset", "offset", ["image"]), 3, "width")])
    x = g.node("GlobalPool", "pool", [x])
    model = g.model(g.int_conv(x, "classifier", 10, pe=1, out_bits=32, shift=0))
    return emit_hls(model, tmp_path_factory.mktemp("hls") / "tiny", **TARGET, images=random_images(3))


def test_leftover_and_empty_streams_are_found(tiny_project, tmp_path):
    broken = shutil.copytree(tiny_project, tmp_path / "broken")
    # An AvgPool of 6 lines takes and gives too little; the pool behind it still wants all 16 pixels.
    forge(broken, "src/accelerator.cpp", lambda text: text.replace(b"flow::avg_pool<8, 8,", b"flow::avg_pool<6, 8,"))
    with pytest.raises(VerificationError) as error:
        CsimAccelerator(broken).execute(random_images(3))
    assert "layer pool: pool waits in frame 2 to read 'halve.out', which is empty" in str(error.value)
    assert "layer width: width waits in frame 2 to write 'width.out', which is full with 2 beats" in str(error.value)


@pytest.mark.skipif(shutil.which("tclsh") is None, reason="no tclsh")
def test_tcl_uses_known_commands_and_files(project, tmp_path):
    stubs = "\n".join(f"interp alias $child {name} {{}} record {name}" for name in TCL_COMMANDS)
    harness = f"""
        proc record {{args}} {{ puts $args }}
        set child [interp create]
        {stubs}
        interp eval $child {{proc unknown {{args}} {{ error "unknown command: $args" }}}}
        interp eval $child [list source {{{project / "run_hls.tcl"}}}]
    """
    (tmp_path / "harness.tcl").write_text(harness)
    run = subprocess.run(["tclsh", "harness.tcl"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    calls = run.stdout.splitlines()
    assert list(dict.fromkeys(call.split()[0] for call in calls)) == TCL_COMMANDS
    added = [re.match(r"add_files (?:-tb )?(\S+)", call)[1] for call in calls if call.startswith("add_files")]
    assert len(added) == 5 and all((project / name).is_file() for name in added)
    assert "set_part xc7z020clg400-1" in calls and "create_clock -period 10 -name default" in calls


def test_emits_the_same_twice(model, project, tmp_path):
    again = emit_hls(model, tmp_path / "again", **TARGET)
    assert (again / "manifest.json").read_bytes() == (project / "manifest.json").read_bytes()


def test_refuses_a_folder_of_something_else(model, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(FlowError, match="holds no manifest.json, so it is no HLS project"):
        emit_hls(model, tmp_path, **TARGET)
    assert (tmp_path / "thesis.tex").is_file()


def test_refuses_what_headers_do_not_take(tmp_path):
    def xnor_network(simd, **attributes):
        g = GraphBuilder(8, 8, p=1)
        x = g.window(g.sign(g.conv(g.pixels(p=3), "stem", 128, pe=128, simd=3), "sign"), "one", kernel=1, padding=0)
        x = g.beats_of(x, simd, "width")
        return g.model(g.xnor(x, "vote", 10, pe=1, **attributes))

    with pytest.raises(FlowError, match="vote: simd 128 is above 64"):
        emit_hls(xnor_network(128), tmp_path / "wide", **TARGET)
    with pytest.raises(FlowError, match="vote: groups of 48 do not fit 64 inputs a beat"):
        emit_hls(xnor_network(64, group=48), tmp_path / "groups", **TARGET)
    assert not any(tmp_path.iterdir())


def test_bad_projects_and_images_are_refused(accelerator, copy, tmp_path):
    with pytest.raises(FlowError, match="not uint8"):
        accelerator.execute(np.zeros((1, 32, 32, 3), np.uint8))
    with pytest.raises(FlowError, match="manifest.json cannot be read"):
        CsimAccelerator(tmp_path / "nowhere")
    (copy / "src/tables/classifier.hpp").unlink()
    with pytest.raises(VerificationError, match="^layer classifier: .*is missing"):
        CsimAccelerator(copy)
