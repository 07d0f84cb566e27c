"""One timer for the deadlines of many: a look at all of them, now and then, costs least.

A timer for each call, as `asyncio.timeout` sets, costs more than all the rest that a call
passes.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from contextvars import Context
from typing import Final, Protocol

NEVER: Final = math.inf
REST_S: Final = 0.005
"""How long the timer rests between two looks: by so much a deadline may be seen too late."""

_TICK_S: Final = 0.001
"""uvloop counts in whole milliseconds; a timer that rings too early rings for nothing."""


class Timers(Protocol):
    """The part of an event loop that is needed."""

    def call_later(
        self, delay: float, callback: Callable[[], object], *, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call `callback` in `delay` seconds."""


class Alarm:
    """Rings at the earliest of many deadlines.

    Args:
        look: told the time, ends what is due by then and answers the earliest of what is
            left, or `NEVER`.
        monotonic: the clock that says what is due, in seconds. A loop's own time is
            another one.
        timers: where the timer is set; by default the loop that runs.
    """

    __slots__ = ("_handle", "_look", "_monotonic", "_timers", "at")

    def __init__(
        self,
        look: Callable[[float], float],
        monotonic: Callable[[], float] | None = None,
        timers: Timers | None = None,
    ) -> None:
        self._look = look
        self._monotonic = monotonic or time.monotonic
        self._timers = timers
        self._handle: asyncio.TimerHandle | None = None
        self.at = NEVER
        """When it rings next; whoever has an earlier deadline sets it."""

    def set(self, due: float) -> None:
        """Ring at `due`, or a little later."""
        now = self._monotonic()
        at = max(due, now + REST_S)
        if at >= self.at:
            return
        if self._handle is not None:
            self._handle.cancel()
        timers = self._timers or asyncio.get_running_loop()
        # In a context of its own, not in that of the call which happens to be the first.
        self._handle = timers.call_later(at - now + _TICK_S, self._ring, context=Context())
        self.at = at

    def stop(self) -> None:
        """Ring no more."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle, self.at = None, NEVER

    def _ring(self) -> None:
        self._handle, self.at = None, NEVER
        first = now = self._monotonic()  # when looking fails, it looks again
        try:
            first = self._look(now)
        finally:
            if first < NEVER:
                self.set(first)
