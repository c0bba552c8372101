"""``flow timing``: how fast the RTL of a finished build may run, estimated from its netlist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flow.cli.synth import PLAIN_WIDTH, BuildArgument, JobsOption, QuietOption
from flow.synth.delays import LEVEL_NS

if TYPE_CHECKING:
    from rich.console import Console

SHOWN_SIGNALS = 6  # of a path, from either end


def timing(
    build: BuildArgument,
    level_ns: Annotated[
        float, typer.Option("--level", min=0.2, max=5.0, help="Nanoseconds of a LUT with the route to it.")
    ] = LEVEL_NS,
    nodes: Annotated[bool, typer.Option("--nodes", help="The worst path within each node, too.")] = False,
    jobs: JobsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Estimate the timing of a build from its netlist: worst paths, slack at the plan's clock, chains of ready.

    Cell delays are the data sheet's of speed grade -1; every route takes the same, as nothing is placed. The figures go
    to report/timing.json.
    """
    import flow
    from flow.report.console import plain_console

    console = plain_console(PLAIN_WIDTH)
    log = (lambda line: None) if quiet else (lambda line: console.print(line, style="dim"))
    show(flow.load(build).timing(level_ns, jobs, log=log), console, nodes)


def show(report: dict, console: Console, nodes: bool = False) -> None:
    """Print the worst paths, the slack and the longest chain of ready."""
    from rich.table import Table
    from rich.text import Text

    from flow.report.console import Name, figures, print_table

    if nodes:
        table = Table("node", *figures(("levels", "ns")), box=None)
        timed = {name: row for name, row in report["nodes"].items() if row}
        for name, row in sorted(timed.items(), key=lambda item: item[1]["ns"], reverse=True):
            table.add_row(Name(name), str(row["levels"]), f"{row['ns']:.2f}")
        print_table(console, table)
    table = Table(*figures(("ns", "slack", "levels")), "from", "to", "through", box=None)
    for path in report["paths"]:
        table.add_row(
            f"{path['ns']:.2f}",
            f"{path['slack_ns']:.2f}",
            str(path["levels"]),
            Name(path["start"]),
            Name(path["end"]),
            " > ".join(path["instances"]),
        )
    print_table(console, table)
    console.print(f"signals of the worst: {' > '.join(_ends(report['paths'][0]['signals']))}")
    console.print(
        f"slack {report['slack_ns']:g} ns at {report['clock_mhz']:g} MHz, at most {report['fmax_mhz']:g} MHz: "
        f"{report['origin']} ({report['tool']}, {report['level_ns']:g} ns a LUT with its route, nothing placed)"
    )
    chain = " > ".join(report["ready_chain"]) or "none"
    console.print(f"longest chain of ready: through {report['ready_passes_through']} instances: {chain}")
    if report["loops"]:
        loops = f" {', '.join(report['loops'])}"
        console.print(Text.assemble(("combinational loops, not timed:", "yellow"), loops))


def _ends(signals: list[str]) -> list[str]:
    if len(signals) <= 2 * SHOWN_SIGNALS:
        return signals
    return [*signals[:SHOWN_SIGNALS], "...", *signals[-SHOWN_SIGNALS:]]
