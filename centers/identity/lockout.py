"""Stops guessing: a name with too many failed attempts is refused for a while."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeAlias

from centers.identity.errors import IdentityReason
from mesh.clock import Clock
from mesh.errors import MeshError

MAX_FAILURES: Final = 10
WINDOW_S: Final = 15 * 60
WINDOW: Final = timedelta(seconds=WINDOW_S)

Times: TypeAlias = tuple[datetime, ...]
"""When a name was tried, oldest first."""


class Attempts(Protocol):
    """Where attempts are counted, for all processes of the centre."""

    async def change(self, name: str, now: datetime, apply: Callable[[Times], Times]) -> None:
        """Replace the times of a name by what `apply` makes of them; it was tried now."""

    async def forget(self, name: str) -> None:
        """Forget the times of a name."""


class Lockout:
    """Counts attempts by name, whether or not there is such a user.

    Ten failures within fifteen minutes close a name for fifteen minutes.
    """

    def __init__(self, attempts: Attempts, clock: Clock) -> None:
        self._attempts = attempts
        self._clock = clock

    async def admit(self, name: str) -> None:
        """Count an attempt; it is a failure until `succeeded` says otherwise.

        Counting comes first, so that attempts side by side cannot outrun it.

        Raises:
            MeshError: TOO_MANY_ATTEMPTS, with the time to wait.
        """
        now, wait_s = self._clock.now(), 0.0

        def count(times: Times) -> Times:
            nonlocal wait_s
            wait_s = _closed_for_s(times, now)
            return times if wait_s else (*_recent(times, now), now)

        await self._attempts.change(name, now, count)
        if wait_s:
            raise MeshError(IdentityReason.TOO_MANY_ATTEMPTS, retry_after_s=wait_s)

    async def withdraw(self, name: str) -> None:
        """Take back the last attempt: no password was compared."""
        await self._attempts.change(name, self._clock.now(), lambda times: times[:-1])

    async def succeeded(self, name: str) -> None:
        """Forget the failures of a name."""
        await self._attempts.forget(name)


def _closed_for_s(times: Times, now: datetime) -> float:
    """How long the name is still closed; a clock that was set back does not prolong it."""
    if len(times) < MAX_FAILURES:
        return 0.0
    wait = times[-1] + WINDOW - now
    return min(max(wait.total_seconds(), 0.0), WINDOW_S)


def _recent(times: Times, now: datetime) -> Times:
    """What still counts; of a name that has opened again nothing does."""
    return tuple(time for time in times if time > now - WINDOW)[1 - MAX_FAILURES :]
