"""Quiet hours: when they hold, and when they end. Pure rules in the bank's zone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mesh.zone import BANK_ZONE

DAY_MINUTES: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Hours of each day, from a minute to before another one, 0 to 1439.

    They span midnight when they end before they begin. Equal minutes: none.
    """

    from_minute: int
    to_minute: int

    def end(self, moment: datetime) -> datetime | None:
        """When they end, if `moment` lies within them."""
        local = moment.astimezone(BANK_ZONE)
        minute = local.hour * 60 + local.minute
        into = (minute - self.from_minute) % DAY_MINUTES
        length = (self.to_minute - self.from_minute) % DAY_MINUTES
        if into >= length:
            return None
        begun = moment.replace(second=0, microsecond=0)
        return begun + timedelta(minutes=length - into)


def opening(quiet: Sequence[QuietHours], moment: datetime) -> datetime | None:
    """The first time from `moment` on at which none of them hold; None when there is none.

    It is `moment` itself when it is not quiet.
    """
    opens = moment
    last = moment + timedelta(days=1)
    while ends := [end for hours in quiet if (end := hours.end(opens)) is not None]:
        opens = max(ends)
        if opens > last:
            return None
    return opens
