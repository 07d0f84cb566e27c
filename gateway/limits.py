"""How fast a caller may send: a token bucket for each, in constant memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from mesh.clock import Clock

MAX_CALLERS: Final = 100_000


class Limiter:
    """Token buckets by caller, in the form of the generic cell rate algorithm.

    A bucket is one number: the time at which it will be full again. The bucket
    that was not used for longest is dropped when there are too many; it is full
    in all likelihood.

    Args:
        rate_per_s: tokens that a bucket gains in a second.
        burst: tokens that a full bucket holds.
    """

    def __init__(
        self, rate_per_s: float, burst: float, clock: Clock, *, max_callers: int = MAX_CALLERS
    ) -> None:
        self.burst = burst
        self.interval_s = 1 / rate_per_s
        self._clock = clock
        self._max_callers = max_callers
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, caller: str, cost: float) -> float:
        """Take `cost` tokens, or none of them.

        A cost above the size of the bucket counts as that size.

        Returns:
            0 when they were taken, else the seconds until they can be.
        """
        now = self._clock.monotonic()
        full_at = max(self._full_at.get(caller, now), now)
        full_at += min(cost, self.burst) * self.interval_s
        wait_s = full_at - now - self.burst * self.interval_s
        if wait_s > 1e-9:  # rounding is not the caller's fault
            return wait_s
        self._full_at[caller] = full_at
        self._full_at.move_to_end(caller)
        if len(self._full_at) > self._max_callers:
            self._full_at.popitem(last=False)
        return 0.0
