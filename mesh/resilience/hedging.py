"""How long the calls of a method take, so that a slow one can be told from others."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from math import log
from typing import Final

SHARE: Final = 0.95
"""A call that takes longer than this share of calls is slow."""
MIN_CALLS: Final = 100
"""Before so many nothing is known."""
MAX_CALLS: Final = 2_000
"""With so many, all counts are halved: what was long ago fades."""
LEAST_S: Final = 0.0001
GROWTH: Final = 1.1
"""Upper bounds of the buckets: the first, and each by so much above the one before it."""
BUCKETS: Final = 128
FRESH: Final = 16
"""Calls after which the share is worked out anew."""

_SCALE: Final = 1 / log(GROWTH)


class Latencies:
    """How long calls of one method took lately, in buckets that are 10 % wide."""

    __slots__ = ("_buckets", "_slow_s", "_stale", "_total")

    def __init__(self) -> None:
        self._buckets = [0] * BUCKETS
        self._total = 0
        self._stale = 0
        self._slow_s: float | None = None

    def add(self, seconds: float) -> None:
        """A call took so long."""
        bucket = int(log(seconds / LEAST_S) * _SCALE) + 1 if seconds > LEAST_S else 0
        self._buckets[min(bucket, BUCKETS - 1)] += 1
        self._total += 1
        self._stale += 1
        if self._total >= MAX_CALLS:
            self._buckets = [count >> 1 for count in self._buckets]
            self._total = sum(self._buckets)

    @property
    def slow_s(self) -> float | None:
        """What 95 % of the calls take at most; None when too few were seen."""
        if self._total < MIN_CALLS:
            return None
        if self._slow_s is None or self._stale >= FRESH:
            self._slow_s, self._stale = self._worked_out(), 0
        return self._slow_s

    def _worked_out(self) -> float:
        below = accumulate(self._buckets)
        return LEAST_S * GROWTH ** bisect_left([*below], self._total * SHARE)
