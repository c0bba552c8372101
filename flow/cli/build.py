"""``flow build``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flow.cli.common import ModelOption, PixelsOption, StrategyOption, StreamBitsOption, network_config, parse_range


def build(
    model: ModelOption = "bireal18",
    strategy: StrategyOption = None,
    target: Annotated[str, typer.Option(help="Board, such as pynq-z2.")] = "pynq-z2",
    width: Annotated[int | None, typer.Option(help="Channels of the first stage the checkpoint must have.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A checkpoint instead of the bundled one.")] = None,
    voter: Annotated[
        str | None, typer.Option(help="Build with this voter, trained with it or not: exact, hierarchical(G), maj3, sample(R).")
    ] = None,
    shortcut: Annotated[str | None, typer.Option(help="Shortcut across stages that the checkpoint must have.")] = None,
    padding: Annotated[str | None, typer.Option(help="Padding of binary convolutions that the checkpoint must have.")] = None,
    onnx: Annotated[Path | None, typer.Option(help="Anyone's QONNX file instead of a checkpoint.")] = None,
    pixels: PixelsOption = "0,255",
    stream_bits: StreamBitsOption = 12,
    fps: Annotated[float, typer.Option(min=0.1, help="Frames a second that the plan must reach.")] = 300.0,
    plan: Annotated[Path | None, typer.Option(help="An edited plan.yaml instead of the planner.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="CIFAR-10, to measure accuracy on all test images instead of the packaged ones.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder to build in.  [default: build/MODEL-STRATEGY-TARGET]")] = None,
    from_step: Annotated[str | None, typer.Option(help="Step to start at, with what earlier ones left.")] = None,
    to_step: Annotated[str | None, typer.Option(help="Step to end with.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do every step again, also those finished before with the same inputs.")] = False,
) -> None:
    """Compile a network into a verified accelerator: QONNX, integer graph, plan, HLS, RTL, simulations, report.

    Steps: export, streamline, plan, hls, rtl, csim, simulate, package, report.
    """
    if onnx is None:
        strategy = network_config(model, strategy, voter=voter, shortcut=shortcut, padding=padding).strategy
    else:
        model, strategy = onnx.stem, "onnx"
    from rich.console import Console

    from flow.build import Options, run
    from flow.report.summary import show
    from flow.sim.tools import require_tools
    from flow.steps import NAMES

    console = Console(highlight=False, soft_wrap=True)
    options = Options(
        model=model, strategy=strategy, target=target, width=width, checkpoint=checkpoint, plan=plan, fps=fps,
        data=data, output=output, voter=voter, shortcut=shortcut, padding=padding, onnx=onnx, pixels=parse_range(pixels), stream_bits=stream_bits,
    )  # fmt: skip
    require_tools(NAMES, from_step, to_step)
    done = run(options, from_step, to_step, say=console.print, fresh=fresh)
    if to_step in (None, "report"):
        show(done.workspace.load_json("summary"), console)
        console.print(f"\nall of it is in {done.workspace.folder}, the figures in report/summary.json")
