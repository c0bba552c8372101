"""``flow table``: the accuracy of every recipe beside the source's figures, from stored results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flow.cli.common import DEFAULT_DATA, DataOption, known, refuse_given, torch_device
from flow.errors import FlowError

FORMATS = ("markdown", "csv", "json")


def table(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(help="Recipes to run; all of them unless given.", show_default=False)
    ] = None,
    run: Annotated[
        bool,
        typer.Option("--run", help="First train what is missing, or go on with it; a row that has a result is left."),
    ] = False,
    length: Annotated[str, typer.Option(help="Length of the runs: short, day, long, source, ...")] = "short",
    format: Annotated[str, typer.Option(help=f"{', '.join(FORMATS)}.")] = "markdown",
    seed: Annotated[int, typer.Option(help="Of the rows that are run; the table has all seeds.")] = 1,
    data: DataOption = DEFAULT_DATA,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    runs: Annotated[Path, typer.Option(help="Folder of the training runs.")] = Path("runs"),
    results: Annotated[
        Path | None,
        typer.Option(help="Folder of the stored results.  [default: the ones that ship]", show_default=False),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write the table there.", show_default=False)] = None,
) -> None:
    """Print every recipe's accuracy; every figure is read from the result that its training stored."""
    known("format", format, FORMATS)
    if not run:
        if names:
            raise FlowError(f"recipe {names[0]} is to be run: give --run too; the table has all rows")
        refuse_given(context, ("length", "seed", "data", "device", "runs"), "is of rows that are run: give --run too")
    from brevitas_models import recipes
    from brevitas_models.results import FOLDER, load_results
    from brevitas_models.results import FORMATS as WRITERS
    from brevitas_models.results import table as rows_of

    recipes.load_length(length)
    for name in names or []:
        recipes.load_recipe(name)
    folder = results or FOLDER
    if run:
        from brevitas_models.data import load_cifar
        from flow.cli.recipes import run_recipe

        there, target = load_results(folder), torch_device(device)
        images = load_cifar(data, "train"), load_cifar(data, "test")
        for name in in_order(names or recipes.names(), length):
            if (name, length, images[0].classes, seed) not in there:
                run_recipe(name, length, images, runs, folder, target, seed=seed)
    stored = load_results(folder)
    if not stored:
        raise FlowError(f"no results in {folder} yet: flow table --run --data DATA trains the rows")
    text = WRITERS[format](rows_of(stored))
    if output:
        output.write_text(text, encoding="utf-8")
    typer.echo(text, nl=False)


def in_order(names: list[str], length: str) -> list[str]:
    """Rows that others need first, and without those that the source has no length for, if that is asked for.

    Teachers and what rows begin with are among them, unless they are of another length.
    """
    from brevitas_models.recipes import load_length, load_recipe, start_length, teacher_length

    ranks: dict[str, int] = {}

    def rank(name: str) -> int:
        if name not in ranks:
            recipe = load_recipe(name)
            start = recipe.start if start_length(length) == length else None
            teacher = recipe.teacher if teacher_length(length) == length else None
            ranks[name] = max((1 + rank(needed) for needed in (start, teacher) if needed), default=0)
        return ranks[name]

    for name in names:
        rank(name)
    own_epochs = load_length(length).own_epochs
    possible = [name for name in ranks if not own_epochs or load_recipe(name).epochs or load_recipe(name).start]
    return sorted(possible, key=lambda name: (ranks[name], name))
