"""The daily gap report, and what is measured between two of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from mesh.background import Background
from mesh.clock import Clock
from mesh.log import get_logger
from mesh.storage import StorageError
from mesh.telemetry import Meters
from mesh.zone import BANK_ZONE
from sequencer.definition import Definition
from sequencer.gapless.report_store import Shown, Span, Tally
from sequencer.sdk.serial import Reset

LOOK_EVERY_S: Final = 60.0
"""Between two looks: metrics are that old at most."""

_MEASURED: Final = (Shown.RESERVED, Shown.EXPIRED, Shown.RELEASED, Shown.VOID, Shown.LOST_TRACK)
_log: Final = get_logger(__name__)


class Gaps(Protocol):
    """What the database says of numbers that are not confirmed."""

    async def tallies(self, now: datetime) -> Mapping[int, Tally]:
        """Numbers that are not confirmed, of every sequence that has some."""

    async def is_reported(self, day: str) -> bool:
        """Whether a day's report is kept."""

    async def report(self, day: str, tallies: Mapping[int, Tally], now: datetime) -> bool:
        """Keep a day's report; False when another server was first."""


class Names(Protocol):
    """The sequences that there are."""

    async def get(self, uid: int) -> Definition | None:
        """The sequence of an identity."""


class DailyReport(Background):
    """Measures gaps each minute, and once a day keeps and logs the report of the day before.

    One task looks after all sequences; of several servers one reports a day.

    Args:
        gaps: what the database says.
        names: of sequences, for the log.
        clock: says which day it is.
        meters: is given the gauges `sequencer.gapless.reserved_numbers` and so on.
    """

    def __init__(self, gaps: Gaps, names: Names, clock: Clock, meters: Meters) -> None:
        self._gaps = gaps
        self._names = names
        self._clock = clock
        self._open: Mapping[int, Tally] = {}
        self._reported = ""
        for shown in _MEASURED:
            self._measure(meters, shown)
        meters.gauge("sequencer.gapless.oldest_open_s", self._oldest_s)

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except StorageError as error:
                _log.warning("gap_report_failed", error=type(error).__name__)
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Measure; report yesterday, unless somebody has."""
        now = self._clock.now()
        self._open = await self._gaps.tallies(now)
        yesterday = (now.astimezone(BANK_ZONE).date() - timedelta(days=1)).isoformat()
        if yesterday == self._reported:
            return
        if not await self._gaps.is_reported(yesterday) and await self._gaps.report(
            yesterday, self._open, now
        ):
            await self._tell(yesterday)
        self._reported = yesterday

    async def _tell(self, day: str) -> None:
        for uid, tally in self._open.items():
            found = await self._names.get(uid)
            _log.info(
                "gap_report",
                day=day,
                sequence=found.name if found else str(uid),
                oldest_open=tally.oldest.isoformat() if tally.oldest else "",
                **{one.name.lower(): tally.counts[one] for one in _MEASURED},
            )
        _log.info("gap_report_done", day=day, sequences_with_gaps=len(self._open))

    def _measure(self, meters: Meters, shown: Shown) -> None:
        name = f"sequencer.gapless.{shown.name.lower()}_numbers"
        meters.gauge(name, lambda: float(sum(one.counts[shown] for one in self._open.values())))

    def _oldest_s(self) -> float:
        """Age of the oldest number that was reserved and neither confirmed nor given back."""
        since = [tally.oldest for tally in self._open.values() if tally.oldest is not None]
        return max((self._clock.now() - min(since)).total_seconds(), 0.0) if since else 0.0


def period_of(definition: Definition, business_date: date) -> str:
    """The name of the sequence that a business date's numbers are of."""
    reset = definition.serial.reset if definition.serial else Reset.NONE
    if reset is Reset.NONE or definition.parent:
        return definition.name
    digits = business_date.isoformat().replace("-", "")  # %Y does not pad years below 1000
    return f"{definition.name}@{digits[: reset.value]}"


def day_of(definition: Definition, business_date: date) -> Span:
    """A day in the zone of a sequence; none when the sequence is that period's alone."""
    serial = definition.serial
    if serial is not None and serial.reset is not Reset.NONE:
        return Span()
    zone = ZoneInfo(serial.zone) if serial is not None and serial.zone else BANK_ZONE
    begin = datetime.combine(business_date, time(), zone)
    end = datetime.combine(business_date + timedelta(days=1), time(), zone)
    return Span(begin=begin, end=end)
