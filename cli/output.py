"""Tables and messages: coloured on terminals, plain text in pipes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NoReturn

import typer


def terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout.isatty()


def print_table(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    title: str = "",
    *,
    styles: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Print a table; tab-separated, with a head line, when standard output is not a terminal.

    On terminals a cell whose whole text is in `styles` has that style of rich.
    """
    if not terminal():
        for row in (headers, *rows):
            print("\t".join(row))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*headers, title=title or None, box=SIMPLE_HEAD, title_justify="left")
    for row in rows:
        table.add_row(*(Text(cell, style=styles.get(cell, "")) for cell in row))
    Console().print(table)


def fail(message: str, next_step: str = "", *, code: int = 1) -> NoReturn:
    """Print an error with its next step on standard error and end the program."""
    typer.secho(f"engine: {message}", fg=typer.colors.RED, err=True)
    if next_step:
        typer.secho(f"  → {next_step}", err=True)
    raise typer.Exit(code)
