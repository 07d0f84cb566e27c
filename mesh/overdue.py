"""Ends calls that are overdue, with one timer for all that run.

A timer for every call, as `asyncio.timeout` sets, costs more than all the rest
that a call passes: here a call costs an entry in a set, and the timer of the one
that is due first is set again only when it has rung.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from contextvars import Context
from typing import Any, Final, Protocol

import msgspec

REST_S: Final = 0.005
"""How long the timer rests between two looks: by so much a call may be ended too late."""

_TICK_S: Final = 0.001
"""uvloop counts in whole milliseconds; a timer that rings too early rings for nothing."""


class Timers(Protocol):
    """The part of an event loop that is needed."""

    def call_later(
        self, delay: float, callback: Callable[[], object], *, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call `callback` in `delay` seconds."""


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
        self, monotonic: Callable[[], float] = time.monotonic, timers: Timers | None = None
    ) -> None:
        self._monotonic = monotonic
        self._timers = timers
        self._running: set[Entry] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = math.inf

    def __len__(self) -> int:
        return len(self._running)

    def add(self, due: float, task: asyncio.Task[Any]) -> Entry:
        """Cancel `task` at `due`, unless the entry is removed before. Infinity: never."""
        entry = Entry(due, task, task.cancelling())
        self._running.add(entry)
        if due + REST_S < self._rings_at:
            self._set(due)
        return entry

    def remove(self, entry: Entry) -> bool:
        """The call has ended; to be called once.

        Answers whether a CancelledError that it ended with is our own: a time-out. It is
        not when the call was not overdue, nor when somebody else has cancelled it too.
        """
        self._running.discard(entry)
        return entry.is_overdue and entry.task.uncancel() <= entry.cancelling

    def _look(self) -> None:
        self._timer, self._rings_at = None, math.inf
        now = self._monotonic()
        try:
            for entry in [entry for entry in self._running if entry.due <= now]:
                self._running.discard(entry)
                entry.is_overdue = True
                entry.task.cancel()
        finally:
            first = min((entry.due for entry in self._running), default=math.inf)
            if first < math.inf:
                self._set(first)

    def _set(self, due: float) -> None:
        now = self._monotonic()
        at = max(due, now + REST_S)
        if at >= self._rings_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        timers = self._timers or asyncio.get_running_loop()
        # In a context of its own, not in that of the call which happens to be the first.
        self._timer = timers.call_later(at - now + _TICK_S, self._look, context=Context())
        self._rings_at = at
