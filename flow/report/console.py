"""The console of all commands, and tables whose figures are never cut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

WIDEST = 10_000  # where a table is asked how narrow it can be
SHORTEST_NAME = 14  # that a name is cut to; where that is still too wide, lines run over
CUT = "…"


def plain_console(plain_width: int | None = None, **how) -> Console:
    """Return a console that prints names of files and nodes as they are, whatever is in them, and folds no line.

    Args:
        plain_width: of tables where there is no terminal.
        how: further arguments of rich's Console.
    """
    console = Console(**{"highlight": False, "soft_wrap": True, "markup": False, "emoji": False, **how})
    if plain_width and not console.is_terminal:
        console.width = plain_width
    return console


def amounts(resources: Mapping[str, float]) -> str:
    """Return resources in words: "5,466 lut, 6.5 bram36". Block RAMs come in halves, of others parts are estimates."""
    digits = {"bram36": 1}
    return ", ".join(f"{n:,.{digits.get(kind, 0)}f}".removesuffix(".0") + f" {kind}" for kind, n in resources.items())


@dataclass(frozen=True)
class Name:
    """A name in a table, cut in the middle where there is no room: its two ends tell it from others."""

    text: str

    def shortened(self, width: int) -> str:
        """Return the name in at most ``width`` characters."""
        if len(self.text) <= width:
            return self.text
        end = (width - 1) // 2
        return f"{self.text[: max(width - 1 - end, 0)]}{CUT}{self.text[len(self.text) - end :] if end else ''}"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.shortened(options.max_width), no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(len(self.text), SHORTEST_NAME), min(len(self.text), options.max_width))


def figures(headings: Iterable[str], justify: str = "right") -> list[Column]:
    """Return a column of figures, which are never cut, for every heading; a heading may have several lines."""
    return [Column(heading, justify=justify, no_wrap=True) for heading in headings]  # type: ignore[arg-type]


def print_table(console: Console, table: Table) -> None:
    """Print a table. Columns of `figures` keep their width, names and text take what is left; where they have less than
    they need at least, the lines run over."""
    for column in table.columns:
        if column.no_wrap:  # rich takes the longest word for the least width
            cells = (column.header, *column.cells)
            column.min_width = max((len(line) for cell in cells for line in str(cell).splitlines()), default=0)
    needed = table.__rich_measure__(console, console.options.update(width=WIDEST)).minimum
    if needed > console.width:
        table.width = needed
    console.print(table, soft_wrap=True)
