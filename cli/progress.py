"""Progress of long work: a bar on terminals, plain lines in pipes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from cli.output import terminal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Report = Callable[[int, int], None]
"""Told how many customers are done, and of how many."""


@contextmanager
def progress_bar(label: str) -> Iterator[Report]:
    """Yields the function to report progress to; shows nothing before its first call."""
    if not terminal():
        yield _Lines(label)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bars(*columns, TimeRemainingColumn()) as bars:
        yield _Bar(bars, label)


class _Bar:
    """A bar that appears with the first report."""

    def __init__(self, bars: Progress, label: str) -> None:
        self._bars = bars
        self._label = label
        self._task: TaskID | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._task is None:
            self._task = self._bars.add_task(self._label)
        self._bars.update(self._task, completed=done, total=total)


class _Lines:
    """A line whenever another tenth is done."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._tenths = 0

    def __call__(self, done: int, total: int) -> None:
        tenths = 10 * done // total
        if tenths > self._tenths:
            self._tenths = tenths
            typer.echo(f"{self._label}: {done:,} of {total:,} customers")
