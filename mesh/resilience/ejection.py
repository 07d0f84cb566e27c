"""Outlier ejection: an endpoint that fails where others do not gets no calls for a while.

The rules, and the values they begin with, are Envoy's (and so those that stock gRPC clients
are told by xDS): so many failures in a row, or a success rate far below that of the others.
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
        interval_s: over which success rates are compared.
        base_s: how long the first ejection lasts; the second twice as long, and so on.
        longest_s: no ejection lasts longer.
        max_percent: of a channel's endpoints that may be ejected at once; one always may
            while there are others. 0: none.
        min_endpoints: with enough calls, to compare rates at all.
        min_calls: in an interval, for a rate to count.
        deviations: so many standard deviations below the mean rate ejects,
        gap: if it is at least so much below it: rates that are almost alike differ by chance.
    """

    in_a_row: int = 5
    interval_s: float = 10.0
    base_s: float = 30.0
    longest_s: float = 300.0
    max_percent: float = 50.0
    min_endpoints: int = 5
    min_calls: int = 100
    deviations: float = 1.9
    gap: float = 0.05


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
        """Endpoints whose success rate is far below the others'; the worst first."""
        options = self._options
        rates = []
        for health in all_:
            passed = health.passed
            calls = passed + health.failed
            if calls >= max(1, options.min_calls) and not health.ejected_until:
                rates.append((passed / calls, health))
        if len(rates) < options.min_endpoints:
            return []
        values = [rate for rate, _ in rates]
        bar = fmean(values) - max(options.gap, options.deviations * pstdev(values))
        rates.sort(key=lambda one: one[0])
        return [health for rate, health in rates if rate < bar]

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
