"""``flow build``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flow.cli.common import (
    FixedPointOption,
    ModelOption,
    StrategyOption,
    known,
    network_config,
    parse_range,
    refuse_given,
)
from flow.errors import FlowError
from flow.options import Options
from flow.vendor import ROUTES

DEFAULTS = Options()


def build(
    context: typer.Context,
    model: ModelOption = DEFAULTS.model,
    strategy: StrategyOption = None,
    target: Annotated[str, typer.Option(help="Board, such as pynq-z2.")] = DEFAULTS.target,
    width: Annotated[int | None, typer.Option(help="Channels of the first stage the checkpoint must have.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A checkpoint instead of the bundled one.")] = None,
    voter: Annotated[
        str | None,
        typer.Option(help="Build with this voter, trained with it or not: exact, hierarchical(G), maj3, sample(R)."),
    ] = None,
    shortcut: Annotated[str | None, typer.Option(help="Shortcut across stages that the checkpoint must have.")] = None,
    padding: Annotated[
        str | None, typer.Option(help="Padding of binary convolutions that the checkpoint must have.")
    ] = None,
    norm: Annotated[
        str | None, typer.Option(help="What follows the sums of binary blocks in the checkpoint: bn, none or bn-free.")
    ] = None,
    onnx: Annotated[Path | None, typer.Option(help="Anyone's QONNX file instead of a checkpoint.")] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Of a QONNX file: images to calibrate on and to compare with, a .npy of uint8 [N, H, W, C]."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Of a QONNX file: classes of the images, a .npy of integers [N], to measure accuracy."),
    ] = None,
    pixels: Annotated[
        str | None,
        typer.Option(
            help='Of a QONNX file: what the network\'s input is for pixels 0 and 255, such as "-1,1".  [default: 0,255]'
        ),
    ] = None,
    fixed_point_bits: FixedPointOption = DEFAULTS.fixed_point_bits,
    tolerance: Annotated[
        float,
        typer.Option(
            help="Of a QONNX file: the largest change of a logit by fixed point, as a part of their spread; more stops "
            "the build."
        ),
    ] = DEFAULTS.tolerance,
    fps: Annotated[float, typer.Option(min=0.1, help="Frames a second that the plan must reach.")] = DEFAULTS.fps,
    clock: Annotated[
        float | None, typer.Option(min=1, help="Clock of the accelerator in MHz, one that the board can make.")
    ] = None,
    plan: Annotated[Path | None, typer.Option(help="An edited plan.yaml instead of the planner.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="CIFAR-10, to measure accuracy on all test images instead of the packaged ones.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder to build in.  [default: build/MODEL-STRATEGY-TARGET]")
    ] = None,
    route: Annotated[
        str,
        typer.Option(
            help="What the plan must fit and --bitfile is made of: rtl, or hls (by Vitis HLS; not for the driver)."
        ),
    ] = DEFAULTS.route,
    bitfile: Annotated[bool, typer.Option("--bitfile", help="Go on to a bitfile, by Vivado.")] = False,
    synth: Annotated[
        bool, typer.Option("--synth", help="Synthesise the RTL by Yosys: what it takes, and how fast it may run.")
    ] = False,
    csim_unbounded: Annotated[
        bool,
        typer.Option(
            "--csim-unbounded",
            help="C simulation with streams of any depth, which no longer shows whether the accelerator would hang.",
        ),
    ] = False,
    from_step: Annotated[str | None, typer.Option(help="Step to start at, with what earlier ones left.")] = None,
    to_step: Annotated[str | None, typer.Option(help="Step to end with.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do every step again, also those finished before with the same inputs.")
    ] = False,
) -> None:
    """Compile a network into a verified accelerator: QONNX, integer graph, plan, HLS, RTL, simulations, report.

    Steps: export, streamline, plan, hls, rtl, csim, simulate, vivado, bitfile (with --bitfile),
    synth (with --synth), package, report.
    """
    foreign = ("images", "labels", "pixels", "fixed_point_bits", "tolerance")
    if onnx is None:
        refuse_given(context, foreign, "is of a QONNX file: give --onnx too, or leave it out")
        choices = {"voter": voter, "shortcut": shortcut, "padding": padding, "norm": norm}
        strategy = network_config(model, strategy, **choices).strategy
    else:
        ours = ("model", "strategy", "checkpoint", "width", "voter", "shortcut", "padding", "norm", "data")
        refuse_given(context, ours, "is of the networks of brevitas_models, and --onnx is another: give one of them")
    options = Options.checked(
        model=None if onnx else model,
        strategy=strategy,
        target=target,
        width=width,
        checkpoint=checkpoint,
        plan=plan,
        fps=fps,
        clock=clock,
        data=data,
        output=output,
        voter=voter,
        shortcut=shortcut,
        padding=padding,
        norm=norm,
        onnx=onnx,
        images=images,
        labels=labels,
        pixels=parse_range(pixels) if pixels is not None else None,
        fixed_point_bits=fixed_point_bits if onnx else None,
        tolerance=tolerance if onnx else None,
        route=known("route", route, ROUTES),
        bitfile=bitfile,
        synth=synth,
        csim_unbounded=csim_unbounded,
    )
    if bitfile:
        _require_bitfile(route, target)
    if synth:
        from flow.synth.yosys import find_yosys

        find_yosys()  # before an hour of work
    from flow.report.console import plain_console
    from flow.report.summary import put_together, show
    from flow.run import run
    from flow.sim.tools import require_tools
    from flow.steps import NAMES

    console = plain_console()
    require_tools(NAMES, from_step, to_step)
    done = run(options, from_step, to_step, log=console.print, fresh=fresh)
    if to_step in (None, "report"):
        show(put_together(done.workspace), console)
        console.print(f"\nall of it is in {done.workspace.folder}, the figures in report/summary.json")


def _require_bitfile(route: str, target: str) -> None:
    """Raise FlowError if there are no scripts for the target, or no vendor's tool for the route: before an hour of
    work."""
    from flow.emit.vivado import unsupported
    from flow.plan.target import load_target
    from flow.vendor import require_vendor_tools

    if reason := unsupported(load_target(target)):
        raise FlowError(reason)
    require_vendor_tools(route)
