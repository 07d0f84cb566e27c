"""One timer for the deadlines of many calls: looking at all of them, seldom, costs least."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextvars import Context
from typing import Final

NEVER: Final = float("inf")
MIN_DELAY_S: Final = 0.005
"""Deadlines are looked at no more often than that."""
_SLACK_S: Final = 0.001
"""The resolution of the loop's clock."""


class Alarm:
    """Rings at the earliest of many deadlines, in seconds of `time.monotonic()`.

    Args:
        look: told the time, ends what is due by then and answers the earliest of what is
            left, or `NEVER`.
    """

    __slots__ = ("_context", "_handle", "_look", "_loop", "at")

    def __init__(self, look: Callable[[float], float]) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = Context()  # a timer must not hold what the call that set it carried
        self._look = look
        self._handle: asyncio.TimerHandle | None = None
        self.at = NEVER
        """When it rings next; whoever has an earlier deadline sets it."""

    def set(self, due: float) -> None:
        """Ring at `due`, or a little later."""
        if self._handle is not None:
            self._handle.cancel()
        delay = max(MIN_DELAY_S, due - time.monotonic())
        self.at = due
        self._handle = self._loop.call_later(delay, self._ring, context=self._context)

    def stop(self) -> None:
        """Ring no more."""
        if self._handle is not None:
            self._handle.cancel()
        self.at = NEVER

    def _ring(self) -> None:
        self.at = NEVER
        least = self._look(time.monotonic() + _SLACK_S)
        if least < self.at:
            self.set(least)
