"""How many ids to hold: sized by time, from the rate at which they are used."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import ceil, exp2

MIN_LEASE = 1_000
MAX_HELD = 2**32
SAFETY = 4.0
SWITCHES_S = 0.010
"""Two switch intervals: how long a busy interpreter may keep the refilling thread waiting."""

WINDOW_S = 0.05
HALF_LIFE_S = 60.0
LATENCIES = 100


class RateMeter:
    """Ids a second, following a rise at once and a fall by half every minute."""

    __slots__ = ("_rate", "_rate_at", "_window_at", "_window_used")

    def __init__(self, now: float) -> None:
        self._rate = 0.0
        self._rate_at = now
        self._window_at = now
        self._window_used = 0

    def rate(self, used: int, now: float) -> float:
        """Ids a second, now that `used` ids have been used in all."""
        present = (used - self._window_used) / max(now - self._window_at, WINDOW_S)
        faded = self._rate * exp2((self._rate_at - now) / HALF_LIFE_S)
        return max(present, faded)

    def observe(self, used: int, now: float) -> float:
        """The rate; it is remembered as well."""
        self._rate, self._rate_at = self.rate(used, now), now
        if now - self._window_at >= WINDOW_S:
            self._window_at, self._window_used = now, used
        return self._rate


class Latencies:
    """The time that the source takes to grant a range."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=LATENCIES)

    def add(self, seconds: float) -> None:
        """Note one grant."""
        self._recent.append(seconds)

    @property
    def p99_s(self) -> float:
        """The longest of the last 100 grants, in seconds."""
        return max(self._recent, default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """Holds enough ids for `survive_s` seconds without the source, within bounds."""

    survive_s: float

    def low(self, rate_per_s: float, latency_s: float) -> int:
        """Below this many ids held, more are asked for."""
        covered_s = max(self.survive_s, (latency_s + SWITCHES_S) * SAFETY)
        return min(max(ceil(rate_per_s * covered_s), MIN_LEASE // 2), MAX_HELD // 2)

    def lease(self, low: int, held: int, wanted: int) -> int:
        """How many ids to ask for: up to twice `low`, and what users wait for."""
        return max(min(max(2 * low, wanted) - held, MAX_HELD - held), MIN_LEASE)
