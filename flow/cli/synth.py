"""``flow synth``: what the RTL of a finished build takes, synthesised by Yosys, beside the plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flow.cli.common import known

if TYPE_CHECKING:
    from rich.console import Console

    from flow.api import Result

BuildArgument = Annotated[Path, typer.Argument(metavar="BUILD", help="Folder of a finished build.")]
JobsOption = Annotated[
    int | None, typer.Option(min=1, help="Parts synthesised at a time; as many as processors unless given.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No line for every part that is synthesised.")]
ROWS = ("node", "kind")
HEADINGS = ("LUT", "packed", "memory", "LUT\nplan", "FF", "FF\nplan", "BRAM36", "BRAM36\nplan", "DSP", "DSP\nplan")
PLAIN_WIDTH = 160  # of the table where there is no terminal


def synth(
    build: BuildArgument,
    by: Annotated[str, typer.Option(help="Rows of the table: node, or kind of node.")] = "node",
    jobs: JobsOption = None,
    quiet: QuietOption = False,
    simulate: Annotated[
        int, typer.Option(min=0, max=512, help="Images to run through the netlist, in Verilator.", show_default=False)
    ] = 0,
) -> None:
    """Synthesise the RTL of a build with Yosys: LUT, FF, BRAM and DSP by node, beside the plan.

    Each distinct module instance is synthesised on its own, out of context, and kept in the cache by its content. The
    figures go to report/synth.json. With --simulate the netlist runs in Verilator, too, with models of its primitives:
    its streams and logits must be those of the golden model; the first that differs is named.
    """
    known("table by", by, ROWS)
    import flow
    from flow.report.console import plain_console

    console = plain_console(PLAIN_WIDTH)
    log = (lambda line: None) if quiet else (lambda line: console.print(line, style="dim"))
    result = flow.load(build)
    show(result.synth(jobs, log=log), console, by)
    if simulate:
        console.print(run_netlist(result, simulate, jobs))


def run_netlist(result: Result, count: int, jobs: int | None = None) -> str:
    """Run ``count`` images through the netlist of a build, and return what that says.

    They are packaged images, or random ones where the network takes others.

    Raises:
        FlowError: the netlist differs; names the first difference.
    """
    from flow.images import images_of
    from flow.project import read_manifest

    images = images_of(tuple(read_manifest(result.workspace.rtl)["image"]), count)
    run = result.simulate_netlist(images, jobs)
    what = "1 image" if count == 1 else f"{count} images"
    values = sum(stream.size for stream in run.streams.values())
    return (
        f"{what} through the netlist: logits as golden, and {values:,} values of {len(run.streams)} streams "
        f"({run.total_cycles:,} cycles in {run.seconds:,.0f} s)"
    )


def show(report: dict, console: Console, by: str = "node") -> None:
    """Print the table, the totals, and the memories that are not as planned."""
    from rich.table import Table
    from rich.text import Text

    from flow.report.console import Name, figures, print_table
    from flow.synth.report import by_kind

    rows = by_kind(report["nodes"]) if by == "kind" else report["nodes"]
    table = Table(by, *figures(HEADINGS), box=None, padding=(0, 1, 0, 0))
    for name, row in rows.items():
        label = f"{name} ({row['count']})" if "count" in row else name
        table.add_row(Name(label), *_figures(row, row["plan"]))
    table.add_section()
    table.add_row(Name("accelerator"), *_figures(report["accelerator"], report["accelerator_plan"]))
    table.add_row(Name("with platform"), *_figures(report["total"], report["total_plan"]))
    print_table(console, table)
    share, device = report["share"], report["device"]
    console.print(
        f"{report['origin']}, out of context: {share['lut']:.0%} of the {device['lut']:,.0f} LUT of "
        f"{report['target']} ({share['lut_packed']:.0%} with pairs packed, an estimate), {share['ff']:.0%} of FF, "
        f"{share['bram36']:.0%} of BRAM36, {share['dsp']:.0%} of DSP; the platform's share is an estimate"
    )
    for memory in report["memories_not_as_planned"]:
        said = (
            f" ({memory['words']} words of {memory['bits']} bits): {memory['mapped']}, not {memory['style']} as wanted"
        )
        console.print(Text.assemble((f"{memory['instance']}.{memory['name']}", "yellow"), said))


def _figures(row: dict, plan: dict) -> list[str]:
    return [
        f"{row['lut']:,.0f}",
        f"{row['lut_packed']:,.0f}",
        f"{row['lutram']:,.0f}",
        f"{plan['lut']:,.0f}",
        f"{row['ff']:,.0f}",
        f"{plan['ff']:,.0f}",
        f"{row['bram36']:g}",
        f"{plan['bram36']:g}",
        f"{row['dsp']:g}",
        f"{plan['dsp']:g}",
    ]
