"""Random 1-bit networks through the whole flow: PyTorch = QONNX = golden = csim = RTL, on every logit and every stream.

    python -m tests.compiler.random_networks --networks 200 --rtl 20

prints a line per network and the counts, and exits with 1 if a value differs or more than a tenth is refused.
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
from hypothesis import strategies as st

from brevitas_models.config import NetworkConfig
from brevitas_models.export import export
from brevitas_models.voters import parse_voter
from flow.compile import load_export
from flow.emit.hls import emit_hls
from flow.emit.rtl import emit_rtl
from flow.errors import FlowError
from flow.execute import execute_graph
from flow.golden import Golden
from flow.graph import hardware_nodes
from flow.passes import to_integers
from flow.plan.apply import apply_plan
from flow.plan.planner import plan_network
from flow.plan.target import load_target
from flow.sim.compare import first_difference
from flow.sim.csim import CsimAccelerator
from flow.sim.rtl import RtlAccelerator
from flow.steps.export import torch_logits

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
REFUSED_AT_MOST = 0.1


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
    fps = draw(st.sampled_from((500.0, 5_000.0, 20_000.0)))
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


def hardware_graphs(count: int) -> list:
    """Return ``count`` random networks as (planned hardware graph, images)."""
    found: list = []

    @settings(
        max_examples=10 * count,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
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


def run(count: int, rtl: int, log=print) -> Tally:
    """``count`` networks, the first ``rtl`` of them to the RTL; constant ones are drawn again."""
    tally = Tally(rtl_left=rtl)

    @settings(
        max_examples=3 * count,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(networks())
    def one(sample):
        if sum(tally.counts.values()) - tally.counts["constant"] >= count:
            return
        started = time.monotonic()
        try:
            outcome = verify(sample, tally)
        except FlowError as error:
            outcome = "refused"
            tally.refusals.append(f"{sample}: {error}")
        except AssertionError as error:
            outcome = "DIFFERS"
            log(str(error))
        tally.counts[outcome] += 1
        log(f"{outcome:13} {time.monotonic() - started:5.1f} s  {sample}")

    one()
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=200)
    parser.add_argument("--rtl", type=int, default=20)
    arguments = parser.parse_args()
    tally = run(arguments.networks, arguments.rtl)
    for refusal in tally.refusals:
        print(f"refused: {refusal}")
    done = sum(tally.counts.values()) - tally.counts["constant"]
    print(f"{done} networks: " + ", ".join(f"{count} {outcome}" for outcome, count in tally.counts.items()))
    print("values compared: " + ", ".join(f"{count:,} in {stage}" for stage, count in tally.values.items()))
    enough = done >= arguments.networks and tally.rtl_left <= 0
    return int(tally.counts["DIFFERS"] > 0 or tally.counts["refused"] > REFUSED_AT_MOST * done or not enough)


if __name__ == "__main__":
    sys.exit(main())
