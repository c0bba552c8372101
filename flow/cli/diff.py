"""``flow diff``: the first tensor in which two stages of a build differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flow.cli.common import known
from flow.errors import FlowError


def diff(
    folder: Annotated[Path, typer.Argument(help="A build folder.")],
    reference: Annotated[str, typer.Argument(help="integer, hardware, csim or rtl.")] = "hardware",
    stage: Annotated[str, typer.Argument(help="The stage to compare with it.")] = "rtl",
    images: Annotated[
        int,
        typer.Option(min=1, max=512, help="Images to run: packaged, or random ones of another size."),
    ] = 2,
) -> None:
    """Run two stages of a build and show where they first differ: tensor, position, channel and values.

    Runs projects as they are, also when files of them were edited. Exits with 1 if a value differs.
    """
    from rich.table import Table

    from flow.diff import STAGES, compare_stages
    from flow.report.console import Name, figures, plain_console, print_table

    for name in (reference, stage):
        known("stage", name, STAGES)
    if reference == stage:
        raise FlowError(f"{stage} with itself is no comparison: give two stages of {', '.join(STAGES)}")
    result = compare_stages(folder, reference, stage, images)
    console = plain_console()
    differing = [row for row in result.tensors if row.mismatches]
    if not differing:
        values = sum(row.values for row in result.tensors)
        console.print(
            f"{reference} and {stage} agree: {values:,} values of {len(result.tensors)} tensors, {images} images"
        )
        return
    headings = ("values", "differ", "first at image,\nrow, column", "channel", reference, stage)
    table = Table("tensor", *figures(headings, "left"), box=None)
    for row in differing:
        image, line, column, channel = row.index
        table.add_row(
            Name(row.tensor),
            f"{row.values:,}",
            f"{row.mismatches:,}",
            f"{image}, {line}, {column}",
            f"{channel}",
            f"{row.expected}",
            f"{row.actual}",
        )
    print_table(console, table)
    first = differing[0]
    console.print(
        f"the first that differs is {first.tensor}, written by {result.writers.get(first.tensor, 'the image')}"
    )
    raise typer.Exit(1)
