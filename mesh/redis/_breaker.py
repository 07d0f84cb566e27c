"""So that a dead server costs its callers nothing but the first wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mesh.clock import Clock
from mesh.log import get_logger
from mesh.redis._errors import RedisUnavailable
from mesh.telemetry import Meters

PAUSE_S: Final = 0.1
"""Until the first try after a failure; it doubles with each failure."""

LONGEST_PAUSE_S: Final = 0.5

_log = get_logger(__name__)


class Breaker:
    """Lets commands through to a server that answers, and one at a time to one that does not.

    After a failure nothing is let through for a pause of 0.1 to 0.5 s (less up to half of it,
    by chance, so that processes do not come back in step). Then one command may try; the
    others fail at once until it has succeeded.
    """

    def __init__(
        self, name: str, clock: Clock, random: Callable[[], float], meters: Meters
    ) -> None:
        self._name = name
        self._clock = clock
        self._random = random
        self._failures = meters.counter("redis.failures")
        self._pause_s = PAUSE_S
        self._next_try = 0.0
        self._since: float | None = None
        self._down_s = 0.0
        self._trying = False

    @property
    def closed(self) -> bool:
        """Whether the server answered the last time."""
        return self._since is None

    @property
    def down_s(self) -> float:
        """Seconds that it was away so far, in all."""
        now = self._clock.monotonic()
        return self._down_s + (0.0 if self._since is None else now - self._since)

    def check(self) -> None:
        """Whether a command would be let through.

        Raises:
            RedisUnavailable: it is not the time to try.
        """
        if self._since is None:
            return
        if self._trying or self._clock.monotonic() < self._next_try:
            raise RedisUnavailable(f"Redis at {self._name} is away")

    def admit(self) -> None:
        """Let a command through; it must end in `succeeded`, `failed` or `given_up`.

        Raises:
            RedisUnavailable: it is not the time to try.
        """
        self.check()
        self._trying = self._since is not None

    def succeeded(self) -> None:
        """The server answered."""
        if self._since is None:
            return
        away_s = self._clock.monotonic() - self._since
        self._down_s += away_s
        self._since, self._pause_s, self._trying = None, PAUSE_S, False
        _log.info("redis_available", node=self._name, away_s=round(away_s, 3))

    def failed(self, error: BaseException) -> None:
        """It did not."""
        self._failures.add()
        now = self._clock.monotonic()
        if self._since is None:
            self._since = now
            _log.warning("redis_unavailable", node=self._name, error=type(error).__name__)
        elif not self._trying:
            return  # it was under way before the first failure
        self._trying = False
        self._next_try = now + self._pause_s * (0.5 + self._random() / 2)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def given_up(self) -> None:
        """The caller was cancelled: nothing was learnt."""
        self._trying = False
