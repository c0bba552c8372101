"""The console of all commands."""

from __future__ import annotations

from rich.console import Console


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
