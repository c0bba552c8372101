"""``flow inspect``: the nodes of a QONNX file, and the hardware that each becomes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from flow.cli.common import FixedPointOption, PixelsOption, parse_range

PLAIN_WIDTH = 160  # of the table where there is no terminal


def inspect(
    file: Annotated[Path, typer.Argument(help="A QONNX file, exported by Brevitas or by flow build.")],
    pixels: PixelsOption = "0,255",
    fixed_point_bits: FixedPointOption = None,
) -> None:
    """List the nodes of a QONNX file: precision, shape, operations, and the hardware that each becomes or why none.

    Real tensors get the quantizers that ``flow build --onnx`` gives them; those are listed too. Exits with 1 if a node
    has no hardware.
    """
    from rich.progress import track
    from rich.table import Table
    from rich.text import Text

    from flow.inspection import inspect_file
    from flow.report.console import Name, figures, plain_console, print_table

    def bar(passes):
        return track(
            passes, "passes", transient=True, console=plain_console(stderr=True), disable=not sys.stderr.isatty()
        )

    found = inspect_file(file, parse_range(pixels), fixed_point_bits, bar)
    table = Table("node", "type", "precision", *figures(("shape", "operations"), "left"), "becomes", box=None)
    for row in found.rows:
        table.add_row(
            Name(row.name),
            Name(row.kind),
            row.precision,
            row.shape,
            f"{row.operations:,}" if row.operations else "",
            row.becomes,
        )
    console = plain_console(PLAIN_WIDTH)
    print_table(console, table)
    console.print(f"{len(found.rows)} nodes, {found.operations:,} multiply-accumulates a frame")
    for row in found.refused:
        way = f"; {row['way']}" if row["way"] else ""
        text = f" ({row['type']}, {row['shape']}): {row['reason']}{way}"
        console.print(Text.assemble((row["name"], "yellow"), text))
    if not found.builds:
        raise typer.Exit(1)
