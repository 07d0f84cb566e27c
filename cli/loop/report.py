"""How a played scenario is told: its steps while it runs, its table at the end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import typer

from cli.output import fail, print_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row of the table."""

    key: str
    title: str
    expected: str
    found: str

    @property
    def holds(self) -> bool:
        """Whether what was found is what was expected."""
        return self.expected == self.found


class Steps:
    """Says each step with the time that it took, unless it is to be quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    @contextmanager
    def __call__(self, title: str) -> Iterator[None]:
        """A step, for a block."""
        began = time.perf_counter()
        yield
        if not self._quiet:
            typer.echo(f"{title:<62} {time.perf_counter() - began:6.1f} s")


def show(lines: Sequence[Line], title: str, *, as_json: bool) -> None:
    """Print the table; ends the program when a row differs."""
    if as_json:
        typer.echo(json.dumps([asdict(line) | {"holds": line.holds} for line in lines], indent=2))
    else:
        rows = [
            (line.title, line.expected, line.found, "✓" if line.holds else "✗") for line in lines
        ]
        print_table(("Step", "Expected", "Found", ""), rows, title=title)
    wrong = [line.key for line in lines if not line.holds]
    if wrong:
        fail(f"{len(wrong)} of {len(lines)} rows differ: {', '.join(wrong)}")
