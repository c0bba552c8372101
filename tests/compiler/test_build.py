"""The main job at width 8, through every stage, and what it says to mistakes."""

import json
import random
from pathlib import Path

import pytest

from brevitas_models.checkpoint import Metadata, save_checkpoint
from brevitas_models.errors import ModelError
from flow.errors import FlowError, VerificationError
from flow.options import Options
from flow.run import run
from flow.sim.csim import CsimAccelerator
from flow.sim.rtl import RtlAccelerator

from .networks import settled_network

SMALL = dict(golden_images=16, csim_images=4, rtl_images=3, accuracy_images=32)


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    folder = tmp_path_factory.mktemp("build")
    network = settled_network(width=8)
    metadata = Metadata(
        network=network.config, data="none", command="none", epochs=0, epochs_planned=1, seed=0, seconds=0
    )
    save_checkpoint(folder / "small.popbin", network, metadata)
    return Options(
        model="bireal18",
        strategy="qat",
        target="pynq-z2",
        checkpoint=folder / "small.popbin",
        output=folder / "out",
        **SMALL,
    )


@pytest.fixture(scope="module")
def summary(options):
    run(options, log=lambda text: None)
    return json.loads((options.folder / "report" / "summary.json").read_text())


def test_every_stage_agrees(summary):
    lines = {(line["stage"], line["what"]): line for line in summary["verification"]}
    expected = {"export": 16, "golden": 16, "csim": 4, "rtl": 3}
    for stage, images in expected.items():
        line = lines[stage, "logits"]
        assert (line["images"], line["values"], line["mismatches"]) == (images, images * 10, 0)
    for stage in ("csim", "rtl"):
        line = lines[stage, "values of every stream"]
        assert line["images"] == 2 and line["values"] > 100_000 and line["mismatches"] == 0


def test_figures(summary):
    assert summary["operations"]["popcount_mul"] == 0
    assert summary["baseline_operations"]["popcount_mul"] == 491_520 // 8
    assert summary["baseline_operations"]["binary_mac"] == summary["operations"]["binary_mac"]
    assert len(summary["layers"]) == 16
    assert summary["plan"]["fits"]
    assert abs(summary["simulated"]["cycles_per_frame"] / summary["plan"]["cycles_per_frame"] - 1) < 0.05
    # 6.4 % here: the plan draws a line between a stream's first beat and its last, and engines of unequal speed do not
    assert summary["simulated"]["latency_cycles"] == pytest.approx(summary["plan"]["latency_cycles"], rel=0.08)
    assert set(summary["seconds"]) >= {"export", "streamline", "plan", "hls", "rtl", "csim", "simulate"}


def test_a_step_can_be_run_again(options, summary):
    run(options, "report", "report", log=lambda text: None)
    again = json.loads((options.folder / "report" / "summary.json").read_text())
    assert {k: v for k, v in again.items() if k != "seconds"} == {k: v for k, v in summary.items() if k != "seconds"}


def test_flipped_bits_are_found_and_the_layer_is_named(options, summary):
    """20 random flips over the RTL memory files and the HLS tables."""
    rng = random.Random(2)
    for _ in range(20):
        backend, folder, files = rng.choice(
            [
                (RtlAccelerator, options.folder / "rtl", sorted((options.folder / "rtl" / "data").glob("*"))),
                (
                    CsimAccelerator,
                    options.folder / "hls",
                    sorted((options.folder / "hls" / "src" / "tables").glob("*")),
                ),
            ]
        )
        file = rng.choice([f for f in files if f.stat().st_size])
        content = file.read_bytes()
        position, bit = rng.randrange(len(content)), 1 << rng.randrange(8)
        file.write_bytes(content[:position] + bytes([content[position] ^ bit]) + content[position + 1 :])
        try:
            with pytest.raises(VerificationError, match=r"\w+_\d+"):
                backend(folder)
        finally:
            file.write_bytes(content)
        backend(folder)


@pytest.mark.parametrize(
    "change, first, message",
    [
        ({"target": "pynq-z9"}, None, "pynq-z1, pynq-z2"),
        ({"checkpoint": Path("/nowhere.popbin")}, None, "nowhere"),
        ({"width": 64}, None, "width 8"),
        ({"norm": "none"}, None, "norm bn, not none"),
        pytest.param({"fps": 1e6}, "plan", "lower --fps to", marks=pytest.mark.slow),
        ({"plan": Path("/nowhere.yaml")}, "plan", "nowhere.yaml"),
        ({}, "lunch", "streamline"),
    ],
)
def test_mistakes_get_one_message(options, summary, change, first, message):
    wrong = Options(**{**options.model_dump(exclude_unset=True), **change})
    with pytest.raises((FlowError, ModelError), match=message):
        run(wrong, first, log=lambda text: None)
    assert (options.folder / "report" / "summary.json").exists()


def test_steps_need_what_earlier_ones_left(options, tmp_path):
    with pytest.raises(FlowError, match="without --from-step"):
        new = Options(**{**options.model_dump(exclude_unset=True), "output": tmp_path / "new"})
        run(new, "plan", log=lambda text: None)


def test_a_second_build_is_refused(options, summary):
    from flow.workspace import Workspace

    with Workspace(options.folder).locked(), pytest.raises(FlowError, match="another build"):
        run(options, "report", log=lambda text: None)
