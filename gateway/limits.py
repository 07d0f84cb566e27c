"""How fast a caller may send: a token bucket for each, in constant memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from mesh.clock import Clock

MAX_CALLERS: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What a bucket gains in a second, and what a full one holds."""

    per_s: float
    burst: float

    @property
    def interval_s(self) -> float:
        """Seconds that a token takes to come."""
        return 1 / self.per_s


class Limiter(Protocol):
    """Keeps each caller to a rate."""

    async def take(self, caller: str, cost: float) -> float:
        """Take `cost` tokens, or none of them.

        A cost above the size of the bucket counts as that size.

        Returns:
            0 when they were taken, else the seconds until they can be.
        """


OpenLimiter: TypeAlias = Callable[[str, Rate], Limiter]
"""Makes the limiter of a kind of callers: "user", "address"."""


class LocalLimiter:
    """Token buckets of this process, in the form of the generic cell rate algorithm.

    A bucket is one number: the time at which it will be full again. The bucket
    that was not used for longest is dropped when there are too many; it is full
    in all likelihood.
    """

    def __init__(self, rate: Rate, clock: Clock, *, max_callers: int = MAX_CALLERS) -> None:
        self._burst = rate.burst
        self._interval_s = rate.interval_s
        self._clock = clock
        self._max_callers = max_callers
        self._full_at: OrderedDict[str, float] = OrderedDict()

    async def take(self, caller: str, cost: float) -> float:
        now = self._clock.monotonic()
        full_at = max(self._full_at.get(caller, now), now)
        full_at += min(cost, self._burst) * self._interval_s
        wait_s = full_at - now - self._burst * self._interval_s
        if wait_s > 1e-9:  # rounding is not the caller's fault
            return wait_s
        self._full_at[caller] = full_at
        self._full_at.move_to_end(caller)
        if len(self._full_at) > self._max_callers:
            self._full_at.popitem(last=False)
        return 0.0


def local_limiters(clock: Clock) -> OpenLimiter:
    """Limiters of this process alone."""
    return lambda _, rate: LocalLimiter(rate, clock)
