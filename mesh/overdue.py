"""Ends calls that are overdue, with one timer for all that run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from mesh.alarm import NEVER, Alarm, Timers


class Entry(msgspec.Struct, eq=False):
    """A call that runs: when it is due, and the task that is cancelled then.

    `cancelling` is how many had asked the task to cancel before.
    """

    due: float
    task: asyncio.Task[Any]
    cancelling: int
    is_overdue: bool = False


class Overdue:
    """The calls that run in one event loop; cancels the task of each that is overdue, once.

    A call that goes on all the same is not looked at again. `len()` is how many run.

    Args:
        monotonic: the clock that says what is due, in seconds. A loop's own time is
            another one.
        timers: where the timer is set; by default the loop that runs.
    """

    def __init__(
        self, monotonic: Callable[[], float] | None = None, timers: Timers | None = None
    ) -> None:
        self._running: set[Entry] = set()
        self._alarm = Alarm(self._look, monotonic, timers)

    def __len__(self) -> int:
        return len(self._running)

    def add(self, due: float, task: asyncio.Task[Any]) -> Entry:
        """Cancel `task` at `due`, unless the entry is removed before. Infinity: never."""
        entry = Entry(due, task, task.cancelling())
        self._running.add(entry)
        if due < self._alarm.at:
            self._alarm.set(due)
        return entry

    def remove(self, entry: Entry) -> bool:
        """The call has ended; to be called once.

        Answers whether a CancelledError that it ended with is our own: a time-out. It is
        not when the call was not overdue, nor when somebody else has cancelled it too.
        """
        self._running.discard(entry)
        return entry.is_overdue and entry.task.uncancel() <= entry.cancelling

    def _look(self, now: float) -> float:
        for entry in [entry for entry in self._running if entry.due <= now]:
            self._running.discard(entry)
            entry.is_overdue = True
            entry.task.cancel()
        return min((entry.due for entry in self._running), default=NEVER)
