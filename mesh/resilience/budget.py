"""The retry budget: how many calls may be sent a second time, as a share of all calls."""

from __future__ import annotations

from typing import Final

from mesh.resilience.window import WINDOW_S

FLOOR_PER_S: Final = 10.0
"""Retries a second that are always there, so that a client with few calls has some too."""


class Budget:
    """Pays for retries and hedges of one channel; `calls` counts what it earns by.

    At a steady pace some ten seconds of earnings are kept. Over any time it pays no more
    than `FLOOR_PER_S` × (10 s + that time) + percent of the calls. A call costs one
    addition; the rest is worked out when something is to be paid.

    Args:
        percent: of calls that may be sent again.
        now: the present, in seconds of a clock that never steps back.
    """

    __slots__ = ("_at", "_balance", "_ratio", "_seen", "calls")

    def __init__(self, percent: float, now: float) -> None:
        self._ratio = percent / 100
        self._balance = FLOOR_PER_S * WINDOW_S if percent else 0.0
        self._seen = 0
        self._at = now
        self.calls = 0

    def pay(self, now: float) -> bool:
        """Take what one more call costs; False when there is not enough."""
        self._earn(now)
        if self._balance < 1:
            return False
        self._balance -= 1
        return True

    def _earn(self, now: float) -> None:
        """Add what came in since the last time; what was earned long ago fades."""
        if not self._ratio:
            return
        passed = max(0.0, now - self._at)
        share = min(1.0, WINDOW_S / passed) if passed else 1.0
        kept = max(0.0, 1 - passed / WINDOW_S)
        earned = self._ratio * (self.calls - self._seen) * share
        self._balance = self._balance * kept + earned + FLOOR_PER_S * min(passed, WINDOW_S)
        self._seen, self._at = self.calls, now
