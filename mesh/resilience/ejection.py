"""Outlier ejection: an endpoint that fails where others do not gets no calls for a while.

The rules are Envoy's. Stock gRPC clients are told the same shares and times by xDS; they do
not count failures in a row, so with few calls they take longer to notice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Final

from mesh.resilience.counts import Counts
from mesh.resilience.health import Health

NEVER: Final = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Outliers:
    """When an endpoint is ejected, and for how long.

    Args:
        in_a_row: failures without a success between them that eject.
        interval_s: over which the calls of endpoints are compared.
        base_s: how long the first ejection lasts; the second twice as long, and so on.
        longest_s: no ejection lasts longer.
        max_percent: of a channel's endpoints that may be ejected at once; one always may
            while there are others. 0: none.
        failing: a larger share of failures in an interval ejects,
        failing_calls: of at least so many calls,
        failing_endpoints: where so many endpoints have them.
        deviations: a success rate so many standard deviations below the mean ejects,
        gap: if it is at least so much below it: rates that are almost alike differ by chance,
        rated_calls: of at least so many calls in an interval,
        rated_endpoints: where so many endpoints have them.
    """

    in_a_row: int = 5
    interval_s: float = 1.0
    base_s: float = 5.0
    longest_s: float = 30.0
    max_percent: float = 50.0
    failing: float = 0.5
    failing_calls: int = 10
    failing_endpoints: int = 2
    deviations: float = 1.9
    gap: float = 0.05
    rated_calls: int = 100
    rated_endpoints: int = 5


class Ejector:
    """Ejects endpoints of one channel, and lets them in again.

    It is told of failures, and has to be called when it is `due`; while nothing fails it
    never is.
    """

    def __init__(self, options: Outliers, counts: Counts) -> None:
        self._options = options
        self._counts = counts
        self._interval_ends = NEVER
        self.due = NEVER
        """When to call `look` next."""

    def failed(self, health: Health, all_: Sequence[Health], now: float) -> bool:
        """Count a failure of one endpoint of all; whether it was ejected for it."""
        if self._interval_ends == NEVER:
            self._begin(all_, now)
        health.failed += 1
        health.in_a_row += 1
        if health.in_a_row < self._options.in_a_row:
            return False
        return self._eject([health], all_, now)

    def look(self, all_: Sequence[Health], now: float) -> bool:
        """Let in again whose time is over, and compare rates; whether anything changed."""
        has_changed = False
        for health in all_:
            if 0 < health.ejected_until <= now:
                health.ejected_until = 0.0
                health.in_a_row = 0
                has_changed = True
        if now >= self._interval_ends:
            has_changed |= self._eject(self._laggards(all_), all_, now)
            self._end(all_, now)
        self._set_due(all_)
        return has_changed

    def _begin(self, all_: Iterable[Health], now: float) -> None:
        for health in all_:
            health.begin()
        self._interval_ends = now + self._options.interval_s
        self.due = min(self.due, self._interval_ends)

    def _end(self, all_: Sequence[Health], now: float) -> None:
        """Forgive a little who behaved; the next interval begins only where something is wrong."""
        is_wrong = False
        for health in all_:
            is_wrong |= health.failed > 0 or health.times_ejected > 0
            if not health.ejected_until and health.times_ejected:
                health.times_ejected -= 1
        self._interval_ends = NEVER
        if is_wrong:
            self._begin(all_, now)

    def _laggards(self, all_: Iterable[Health]) -> list[Health]:
        """Endpoints that fail far more often than may be, or than others; the worst first."""
        options = self._options
        rates = [
            (passed / calls, calls, health)
            for health in all_
            if not health.ejected_until
            and (calls := (passed := health.passed) + health.failed) >= options.failing_calls
        ]
        found = {}
        if len(rates) >= options.failing_endpoints:
            found = {it: rate for rate, _, it in rates if rate < 1 - options.failing}
        rated = [(rate, it) for rate, calls, it in rates if calls >= options.rated_calls]
        if len(rated) >= options.rated_endpoints:
            values = [rate for rate, _ in rated]
            bar = fmean(values) - max(options.gap, options.deviations * pstdev(values))
            found |= {it: rate for rate, it in rated if rate < bar}
        return sorted(found, key=lambda health: found[health])

    def _eject(self, chosen: Iterable[Health], all_: Sequence[Health], now: float) -> bool:
        """Eject as many of the chosen as may be."""
        options = self._options
        ejected = sum(health.ejected_until > 0 for health in all_)
        bound = max(1, int(len(all_) * options.max_percent / 100)) if options.max_percent else 0
        has_changed = False
        for health in chosen:
            if health.ejected_until or ejected >= min(bound, len(all_) - 1):
                continue
            ejected += 1
            health.times_ejected += 1
            health.ejected_until = now + min(
                options.base_s * health.times_ejected, options.longest_s
            )
            self._counts.ejections.add()
            has_changed = True
        self._set_due(all_)
        return has_changed

    def _set_due(self, all_: Iterable[Health]) -> None:
        back = [health.ejected_until for health in all_ if health.ejected_until]
        self.due = min([self._interval_ends, *back])
