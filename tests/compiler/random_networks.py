"""Random low-bit networks through the whole flow, on every logit and every stream.

    python -m tests.compiler.random_networks --networks 300 --rtl 30

Half of them are networks of ours: PyTorch = QONNX = golden = csim = RTL. Half are files as other people write them
(`random_files`): the file, executed by qonnx, gives the scores of golden within what the build says of itself; exactly
where every stream is quantized; and golden = csim = RTL. Prints a line per network and the counts, and exits with 1 if
a value differs or more than a twentieth is refused.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

import flow
from brevitas_models.config import NetworkConfig
from brevitas_models.export import export
from brevitas_models.voters import parse_voter
from deploy.scores import scores
from flow.compile import load_export
from flow.emit.hls import emit_hls
from flow.emit.rtl import emit_rtl
from flow.errors import FlowError, VerificationError
from flow.execute import execute_graph
from flow.golden import Golden
from flow.graph import hardware_nodes
from flow.normalise.tail import score_steps
from flow.passes import to_integers
from flow.plan.apply import apply_plan
from flow.plan.planner import plan_network
from flow.plan.target import load_target
from flow.sim.compare import first_difference
from flow.sim.csim import CsimAccelerator
from flow.sim.rtl import RtlAccelerator
from flow.steps.export import torch_logits

from .random_files import File, as_input, files, images_of, write
from .small import Layer, SmallNetwork, random_images, settle

VOTERS = (
    "exact",
    "exact",
    "maj3",
    "hierarchical(9)",
    "hierarchical(9,+-)",
    "hierarchical(4,-+)",
    "hierarchical(16,--)",
    "sample(2)",
)
IMAGES, STREAM_IMAGES, TRAINING_IMAGES = 6, 2, 32
HEALTH = list(HealthCheck)
REFUSED_AT_MOST = 0.05
EXACT = 1e-4  # of the spread of a file's outputs, where every stream is quantized
TOLERANCE = 0.25  # of it elsewhere: a few features with few levels are a small network
CLASSES = 3  # images of IMAGES_OF_FILE whose class may change there


@dataclass(frozen=True)
class Sample:
    """A network to try: its config, layers, image size, seed of its weights, and the rate it is planned for."""

    config: NetworkConfig
    layers: tuple[Layer, ...]
    size: int
    seed: int
    fps: float

    def __str__(self):
        layers = " ".join(
            f"{'a' if layer.activated else ''}{layer.kernel}x{layer.kernel}/{layer.stride}" for layer in self.layers
        )
        c = self.config
        return (
            f"{self.size}px w{c.width} {c.strategy} {c.voter} {c.threshold} {c.padding} {c.shortcut} {c.slopes} "
            f"r{c.residual_bits} [{layers}] {self.fps:g} fps"
        )


@st.composite
def networks(draw) -> Sample:
    """Draw 1 to 4 binary layers: kernels 1, 3, 5 and strides 1, 2.

    Also all strategies, voters, thresholds, paddings, shortcuts, activations and slopes.
    """
    size = draw(st.sampled_from((8, 16)))
    voter = draw(st.sampled_from(VOTERS))
    exact = parse_voter(voter).exact
    strategy = draw(st.sampled_from(("qat", "none", "simple-qat"))) if voter == "exact" else "qat"
    config = NetworkConfig(
        width=draw(st.sampled_from((4, 8, 12))),
        strategy=strategy,
        voter=voter,
        threshold=draw(st.sampled_from(("majority", "learned"))) if exact and strategy != "none" else "majority",
        slopes=draw(st.sampled_from(("power_of_two", "any"))),
        padding=draw(st.sampled_from(("minus_one", "plus_one", "zero") if exact else ("minus_one", "plus_one"))),
        shortcut=draw(st.sampled_from(("conv8", "binary", "duplicate"))),
        residual_bits=draw(st.integers(7, 10)),
    )
    kernels = (3,) if voter == "maj3" else (1, 3, 5)
    layers, pixels = [], size
    for _ in range(draw(st.integers(1, 4))):
        stride = draw(st.sampled_from((1, 2))) if pixels > 2 else 1
        pixels //= stride
        kernel = draw(st.sampled_from(kernels))
        assume(kernel <= pixels * stride)
        layers.append(Layer(stride, kernel, draw(st.booleans())))
    fps = draw(st.sampled_from((500.0, 5_000.0, 15_000.0)))
    return Sample(config, tuple(layers), size, draw(st.integers(0, 1000)), fps)


@dataclass
class Tally:
    """What came of the networks."""

    counts: Counter = field(default_factory=Counter)
    refusals: list[str] = field(default_factory=list)
    values: Counter = field(default_factory=Counter)
    rtl_left: int = 0


def integer_graph(sample: Sample, tally: Tally):
    """(integer graph, images) after PyTorch = QONNX = golden; None if the outputs are constant.

    Raises:
        FlowError: a part of the network is refused.
        AssertionError: a value differs.
    """
    images = random_images(TRAINING_IMAGES, sample.size, sample.seed)
    torch.manual_seed(sample.seed)
    network = settle(SmallNetwork(sample.config, sample.layers), images, sample.seed)
    images = images[:IMAGES]
    reference = torch_logits(network, images)
    if len(np.unique(reference, axis=0)) < IMAGES:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        export(network, path, size=sample.size)
        model = load_export(path)
    np.testing.assert_array_equal(execute_graph(model, images), reference, err_msg="export")
    model = to_integers(model)
    logits = Golden(model).execute(images) * float(model.get_metadata_prop("logit_scale"))
    np.testing.assert_array_equal(logits, reference, err_msg="golden")
    tally.values["golden"] += logits.size
    return model, images


def compare(name: str, result, golden, streams, order, tally: Tally) -> None:
    np.testing.assert_array_equal(result.logits, golden, err_msg=name)
    difference = first_difference(streams, result.streams, order)
    assert difference is None, f"{name}: {difference}"
    tally.values[name] += golden.size + sum(values.size for values in result.streams.values())


def verify(sample: Sample, tally: Tally) -> str:
    """Takes one network through the flow; returns what came of it."""
    compiled = integer_graph(sample, tally)
    if compiled is None:
        return "constant"
    model, images = compiled
    target = load_target("u250")
    hardware = apply_plan(model, plan_network(model, target, sample.fps))
    streams: dict[str, np.ndarray] = {}
    golden = Golden(hardware).execute(images)
    Golden(hardware).execute(images[:STREAM_IMAGES], streams)
    order = [name for node in hardware_nodes(hardware) for name in node.outputs]
    with tempfile.TemporaryDirectory() as folder:
        project = emit_hls(hardware, Path(folder) / "hls", build_id="0" * 32, part=target.part, clock_mhz=100)
        compare("csim", CsimAccelerator(project).execute(images, record=STREAM_IMAGES), golden, streams, order, tally)
        if tally.rtl_left <= 0:
            return "csim"
        project = emit_rtl(hardware, Path(folder) / "rtl", build_id="0" * 32, clock_mhz=100)
        compare(
            "rtl", RtlAccelerator(project).execute(images[:3], record=STREAM_IMAGES), golden[:3], streams, order, tally
        )
    tally.rtl_left -= 1
    return "csim and rtl"


def verify_file(file: File, tally: Tally) -> str:
    """Take a file through the flow as a user would; return what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        path, images = Path(folder) / "network.onnx", images_of(file)
        writer = write(file, path)
        expected = file_outputs(path, as_input(file, images))
        if len(np.unique(expected, axis=0)) < 3:
            return "constant"
        np.save(Path(folder) / "images.npy", images)
        rtl = tally.rtl_left > 0
        built = flow.build(
            onnx=path,
            images=Path(folder) / "images.npy",
            pixels=file.pixels,
            target="u250",
            fps=file.fps,
            tolerance=TOLERANCE,
            golden_images=len(images),
            csim_images=IMAGES,
            rtl_images=3,
            stream_images=STREAM_IMAGES,
            output=Path(folder) / "build",
            last="simulate" if rtl else "csim",
        )
        hold_scores(built, expected, exact=writer.exact)
        for stage in ("csim", "simulate")[: 1 + rtl]:
            for line in built.workspace.load_json(stage)["verification"]:
                assert line["mismatches"] == 0, line
                tally.values["csim" if stage == "csim" else "rtl"] += line["values"]
    tally.values["files"] += expected.size
    tally.rtl_left -= rtl
    return "file, csim and rtl" if rtl else "file, csim"


def file_outputs(path: Path, inputs: np.ndarray) -> np.ndarray:
    """Return the outputs [N, elements] of a file, by qonnx."""
    model = ModelWrapper(str(path)).transform(InferShapes())
    (name,) = (info.name for info in model.graph.input)
    return np.array([next(iter(execute_onnx(model, {name: x[None]}).values())).ravel() for x in inputs], np.float64)


def hold_scores(built, expected: np.ndarray, exact: bool) -> None:
    """Assert that the scores of golden differ from a file's outputs by what the build says, and by little."""
    workspace = built.workspace
    steps = score_steps(workspace.load_graph("integer"))
    found = scores(workspace.load_array("golden_logits")[: len(expected)], steps).reshape(expected.shape)
    (said,) = (c for c in workspace.load_json("streamline")["verification"] if c["against"] == "file")
    approximated = workspace.load_json("export")["approximation"]["tensors"]
    approximated += len(workspace.load_json("streamline")["approximations"])
    if said.get("deviation") is None:  # indices
        assert said["mismatches"] == (found != expected).sum(), said
        assert said["mismatches"] <= (CLASSES if approximated or not exact else 0), said
        return
    deviation = np.abs(found - expected).max() / (np.ptp(expected) or 1.0)
    assert abs(deviation - said["deviation"]) <= EXACT, f"differs from the file by {deviation:.2%}, said {said}"
    if not approximated and exact:
        assert deviation <= EXACT, f"every stream is quantized, and it differs from the file by {deviation:.2%}"
    ordered = np.sort(expected, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > EXACT * np.ptp(expected)
    other = int(((found.argmax(1) != expected.argmax(1)) & clear).sum())
    assert other <= (CLASSES if approximated else 0), f"another class in {other} images"


def hardware_graphs(count: int) -> list:
    """Return ``count`` random networks as (planned hardware graph, images)."""
    found: list = []

    @settings(
        max_examples=10 * count,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=HEALTH,
    )
    @given(networks())
    def one(sample):
        if len(found) >= count:
            return
        with contextlib.suppress(FlowError):
            if compiled := integer_graph(sample, Tally()):
                model, images = compiled
                found.append((apply_plan(model, plan_network(model, load_target("u250"), sample.fps)), images))

    one()
    return found


def drawn(strategy, seed: int):
    """Return a network drawn with this seed: the last of a few, as hypothesis begins with the simplest."""
    found: list = []

    @seeded(seed)
    @settings(max_examples=4, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=HEALTH)
    @given(strategy)
    def one(sample):
        found.append(sample)

    one()
    return found[-1]


def run(count: int, rtl: int, log=print, first: int = 0) -> Tally:
    """``count`` networks, every second a file, of the seeds from ``first`` on; ``rtl`` of them to the RTL, of both
    kinds; constant ones are drawn again."""
    tallies = {True: Tally(rtl_left=rtl // 2), False: Tally(rtl_left=rtl - rtl // 2)}
    total, seed = Tally(), first
    while sum(total.counts.values()) - total.counts["constant"] < count:
        foreign = bool(seed % 2)
        sample = drawn(files() if foreign else networks(), seed)
        started = time.monotonic()
        try:
            outcome = (verify_file if foreign else verify)(sample, tallies[foreign])
        except VerificationError as error:
            outcome = "beyond" if "is allowed" in str(error) else "DIFFERS"
            total.refusals.append(f"{seed} {sample}: {error}")
        except FlowError as error:
            outcome = "refused"
            total.refusals.append(f"{seed} {sample}: {error}")
        except AssertionError as error:
            outcome = "DIFFERS"
            log(str(error))
        total.counts[outcome] += 1
        log(f"{outcome:18} {time.monotonic() - started:5.1f} s  {seed} {sample}")
        seed += 1
    for tally in tallies.values():
        total.values += tally.values
        total.rtl_left += max(tally.rtl_left, 0)
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=300)
    parser.add_argument("--rtl", type=int, default=30)
    parser.add_argument("--first", type=int, default=0, help="seed of the first network")
    arguments = parser.parse_args()
    tally = run(arguments.networks, arguments.rtl, first=arguments.first)
    for refusal in tally.refusals:
        print(f"refused: {refusal}")
    done = sum(tally.counts.values()) - tally.counts["constant"]
    print(f"{done} networks: " + ", ".join(f"{count} {outcome}" for outcome, count in tally.counts.items()))
    print("values compared: " + ", ".join(f"{count:,} in {stage}" for stage, count in tally.values.items()))
    enough = done >= arguments.networks and tally.rtl_left <= 0
    refused = tally.counts["refused"] + tally.counts["beyond"]
    return int(tally.counts["DIFFERS"] > 0 or refused > REFUSED_AT_MOST * done or not enough)


if __name__ == "__main__":
    sys.exit(main())
