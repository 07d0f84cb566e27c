"""The point in time by which a call must be answered."""

from __future__ import annotations

import time
from typing import Self

import msgspec

MARGIN_S = 0.005
"""Kept back of the remaining time on every hop, so that the caller hears of it in time."""

_TICK_S = 0.002


class Deadline(msgspec.Struct, frozen=True, gc=False):
    """A point on the monotonic clock of this process, in seconds."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """The deadline `seconds` from now."""
        return cls(time.monotonic() + seconds)

    def remaining_s(self) -> float:
        """Seconds left; 0 when it has passed."""
        return max(0.0, self.at - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether a call that is cancelled now is cancelled for this.

        The transport's timer and ours race to end an overdue call, and the loop's
        rings up to a tick too early.
        """
        return self.remaining_s() <= _TICK_S

    def budget_s(self, own: float | None) -> float:
        """Seconds that a call further down may take: the smaller of `own` and what is left."""
        left = max(0.0, self.remaining_s() - MARGIN_S)
        return left if own is None else min(own, left)
