"""A deadline for one thing after another, at the cost of one timer for many."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable


class Watch:
    """Acts when what was begun has not ended in time. A timer each would cost more than it guards.

    Args:
        act: called once it is too late.
    """

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self._loop = asyncio.get_running_loop()
        self._until = self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self.is_over = False
        """Whether it was too late once."""

    def begin(self, now: float, limit_s: float) -> None:
        """Begin, with so much time from now on the monotonic clock."""
        self._until = now + limit_s
        if self._timer is None or self._due > self._until:
            self._set(now)

    def end(self) -> None:
        """End in time."""
        self._until = math.inf

    def close(self) -> None:
        """Watch no more."""
        self._until = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = self._until
        self._timer = self._loop.call_later(self._until - now, self._look)

    def _look(self) -> None:
        self._timer = None
        now = time.monotonic()
        if now >= self._until:
            self.is_over = True
            self._act()
        elif self._until < math.inf:
            self._set(now)
