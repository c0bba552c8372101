"""Steps that are finished are not done again, unless something that they depend on has changed."""

import pytest

from brevitas_models.checkpoint import Metadata, save_checkpoint
from flow.errors import VerificationError
from flow.options import Options
from flow.resume import KINDS
from flow.run import run
from flow.sim.cpp import CONCURRENT_FOLDER
from flow.workspace import Workspace

from .networks import settled_network

COUNTS = dict(golden_images=8, csim_images=4, rtl_images=2, accuracy_images=16)


def finished(lines):
    """Names of the steps that were passed over."""
    return [line.split(":")[0] for line in lines if "finished before" in line]


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """A build up to its projects."""
    folder = tmp_path_factory.mktemp("resume")
    network = settled_network(width=4)
    metadata = Metadata(
        network=network.config, data="none", command="none", epochs=0, epochs_planned=1, seed=0, seconds=0
    )
    save_checkpoint(folder / "small.popbin", network, metadata)
    options = Options(
        model="bireal18",
        strategy="qat",
        target="pynq-z2",
        checkpoint=folder / "small.popbin",
        output=folder / "out",
        **COUNTS,
    )
    run(options, last="rtl", log=lambda text: None)
    return options


def again(options, **kwargs):
    lines = []
    run(options, last="rtl", log=lines.append, **kwargs)
    return finished(lines)


def test_nothing_is_done_twice(options):
    assert again(options) == ["export", "streamline", "plan", "hls", "rtl"]


def test_a_changed_option_starts_at_its_step(options):
    other = options.model_copy(update={"fps": 100.0})
    assert again(other) == ["export", "streamline"]
    assert again(other) == ["export", "streamline", "plan", "hls", "rtl"]
    assert again(options) == ["export", "streamline"]


def test_what_is_missing_is_made_again(options):
    (options.folder / "graphs" / "hardware.onnx").unlink()
    assert again(options) == ["export", "streamline"]
    (options.folder / "report" / "steps.json").write_text("{")
    assert again(options) == []


def test_fresh_does_everything(options):
    assert again(options, fresh=True) == []


def test_fresh_drops_what_an_optional_step_left(options):
    """A report of synthesis may be damaged, and a build does not need it."""
    workspace = Workspace(options.folder)
    for name in ("synth", "timing"):
        workspace.save_json(name, {})
    lines = []
    with workspace.locked():
        workspace.record.replace("synth", workspace.reports / "timing.json")
    run(options, "vivado", "synth", log=lines.append)
    assert all((workspace.reports / f"{name}.json").exists() for name in ("synth", "timing"))
    run(options, "vivado", "synth", log=lines.append, fresh=True)
    workspace.record.read()
    assert not any((workspace.reports / f"{name}.json").exists() for name in ("synth", "timing"))
    assert "synth" not in workspace.record.steps and "timing.json, of an earlier build, is removed" in lines[-1]


def test_a_flipped_bit_in_a_finished_project_is_found(options):
    memory = next(
        path for path in sorted((options.folder / "rtl" / "data").glob("*.hex")) if "XnorPopcount" in path.name
    )
    content = memory.read_bytes()
    memory.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    try:
        with pytest.raises(VerificationError, match=r"layer XnorPopcount_\d+"):
            again(options)
    finally:
        memory.write_bytes(content)


@pytest.mark.parametrize(
    "name", ["graphs/integer.onnx", "golden/golden_logits.npy", "report/plan.json", "hls/tb/testbench.cpp"]
)
def test_another_file_is_refused_by_name(options, name):
    path = options.folder / name
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    try:
        with pytest.raises(VerificationError, match=path.name):
            again(options)
    finally:
        path.write_bytes(content)


def test_an_edited_plan_is_taken_and_kept(options):
    path, planned = options.folder / "plan.yaml", options.folder / "report" / "planned.yaml"
    lines = []
    before = path.read_text()
    path.write_text(before + "# a word\n")
    assert again(options) == ["export", "streamline", "plan", "hls", "rtl"]  # a comment changes nothing
    edited = path.read_text().replace("memory: block", "memory: distributed")
    path.write_text(edited)
    run(options, last="rtl", log=lines.append)
    assert finished(lines) == ["export", "streamline"]
    assert any("plan.yaml was edited: it is taken" in line for line in lines)
    assert path.read_text() == edited and planned.read_text() == before
    assert again(options) == ["export", "streamline", "plan", "hls", "rtl"]
    lines.clear()
    run(options.model_copy(update={"fps": 60.0}), last="plan", log=lines.append)
    assert any("it is kept as" in line for line in lines)
    assert (options.folder / "plan-1.yaml").read_text() == edited
    assert "requested_fps: 60.0" in path.read_text()
    run(options, last="rtl", log=lines.append)
    assert path.read_text() == before


def test_a_step_that_was_stopped_is_done_again(options, monkeypatch):
    def stopped(*arguments, **keywords):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("flow.emit.rtl.emit_rtl", stopped)
        run(options, first="rtl", last="rtl", log=lambda text: None)
    assert again(options) == ["export", "streamline", "plan", "hls"]


def test_what_csim_is_compiled_with_is_a_source():
    """Else a build would keep the results of a simulator that has changed."""
    assert {path.suffix for path in CONCURRENT_FOLDER.iterdir()} <= set(KINDS)
