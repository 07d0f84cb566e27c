"""What the database says of numbers, above all of those that are not confirmed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Final

import sqlalchemy as sa

from mesh.clock import from_micros, to_micros
from mesh.storage import Row, Store
from sequencer.gapless.numbers import Fate, Run
from sequencer.gapless.tables import as_run, head_table, report_table, run_table

ALL_SEQUENCES: Final = 0
"""Stands in the daily reports for all sequences together: that day was reported."""


class Shown(Enum):
    """What became of a number, as a report says it; the numbers are the contract's."""

    RESERVED = 1
    EXPIRED = 2
    RELEASED = 3
    VOID = 4
    LOST_TRACK = 5
    CONFIRMED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time from `begin` to before `end`; None is no bound."""

    begin: datetime | None = None
    end: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Tally:
    """Numbers in each state; `oldest` is since when the oldest open reservation is."""

    counts: dict[Shown, int] = field(default_factory=lambda: dict.fromkeys(Shown, 0))
    oldest: datetime | None = None

    def add(self, shown: Shown, count: int, since: datetime) -> None:
        """Count numbers that are in a state since then at the earliest."""
        self.counts[shown] += count
        if shown in (Shown.RESERVED, Shown.EXPIRED):
            self.oldest = min(since, self.oldest or since)


_h, _r = head_table.c, run_table.c
_OPEN: Final = (Fate.FREE.value, Fate.RESERVED.value, Fate.VOID.value, Fate.LOST_TRACK.value)
_of: Final[sa.BindParameter[int]] = sa.bindparam("of")
_BOUND: Final = (
    _r.since_us < sa.bindparam("end_us"),
    (_r.fate != Fate.VOID.value) | (_r.since_us >= sa.bindparam("begin_us")),
)
_TALLIED: Final = (
    _r.fate,
    sa.case((_r.token == 0, 1), else_=0).label("is_loose"),
    sa.case((_r.expire_us <= sa.bindparam("now_us"), 1), else_=0).label("is_over"),
)
_SUMS: Final = (
    sa.cast(sa.func.sum(_r.size), sa.BigInteger).label("total"),
    sa.func.min(_r.since_us).label("oldest_us"),
)
_TALLY: Final = (
    sa.select(*_TALLIED, *_SUMS)
    .where(_r.fate.in_(_OPEN), _r.sequence == _of, *_BOUND)
    .group_by("fate", "is_loose", "is_over")
)
_TALLIES: Final = (
    sa.select(_r.sequence, *_TALLIED, *_SUMS)
    .where(_r.fate.in_(_OPEN))
    .group_by(_r.sequence, "fate", "is_loose", "is_over")
)
_CONFIRMED: Final = sa.select(
    sa.cast(sa.func.coalesce(sa.func.sum(_r.size), 0), sa.BigInteger)
).where(
    _r.fate == Fate.CONFIRMED.value,
    _r.sequence == _of,
    _r.since_us >= sa.bindparam("begin_us"),
    _r.since_us < sa.bindparam("end_us"),
)
_POSITION: Final = sa.select(_h.position).where(_h.sequence == _of)
_GAPS: Final = (
    sa.select(run_table)
    .where(
        _r.fate.in_(_OPEN),
        _r.sequence == _of,
        _r.position > sa.bindparam("after"),
        *_BOUND,
    )
    .order_by(_r.position)
    .limit(sa.bindparam("most"))
)
_VOIDS: Final = (
    sa.select(run_table)
    .where(
        _r.fate == Fate.VOID.value,
        _r.sequence == _of,
        _r.position > sa.bindparam("after"),
    )
    .order_by(_r.position)
    .limit(sa.bindparam("most"))
)

_ALL: Final = (
    sa.select(run_table)
    .where(
        _r.sequence == _of,
        _r.position < sa.bindparam("before"),
        _r.since_us >= sa.bindparam("begin_us"),
        _r.since_us < sa.bindparam("end_us"),
    )
    .order_by(_r.position.desc())
    .limit(sa.bindparam("most"))
)
_AT: Final = (
    sa.select(run_table)
    .where(_r.sequence == _of, _r.position <= sa.bindparam("at"))
    .order_by(_r.position.desc())
    .limit(1)
)

_IS_REPORTED: Final = sa.select(report_table.c.sequence).where(
    report_table.c.day == sa.bindparam("on"), report_table.c.sequence == ALL_SEQUENCES
)
_REPORT: Final = sa.insert(report_table)


class SqlGaps:
    """Reads what became of numbers, and keeps the daily reports."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def tally(self, sequence: int, span: Span, now: datetime) -> Tally:
        """Numbers of a sequence in each state.

        What was confirmed or voided before the span is left out, and what came to be after it.
        """
        place = {"of": sequence, **_bounds(span)}
        tally = Tally()
        position = 0 if _is_bounded(span) else await self._one(_POSITION, {"of": sequence})
        for row in await self._store.fetch_all(_TALLY, {**place, "now_us": to_micros(now)}):
            tally.add(_shown(row), row.total, from_micros(row.oldest_us))
        if _is_bounded(span):
            tally.counts[Shown.CONFIRMED] = await self._one(_CONFIRMED, place)
        else:
            tally.counts[Shown.CONFIRMED] = max(position - sum(tally.counts.values()), 0)
        return tally

    async def tallies(self, now: datetime) -> Mapping[int, Tally]:
        """Numbers that are not confirmed, of every sequence that has some."""
        found: defaultdict[int, Tally] = defaultdict(Tally)
        async for rows in self._store.scan(_TALLIES, {"now_us": to_micros(now)}):
            for row in rows:
                found[row.sequence].add(_shown(row), row.total, from_micros(row.oldest_us))
        return found

    async def gaps(self, sequence: int, span: Span, *, after: int, limit: int) -> Sequence[Run]:
        """Runs that are not confirmed, behind a position."""
        wanted = {"of": sequence, "after": after, "most": limit, **_bounds(span)}
        return [as_run(row) for row in await self._store.fetch_all(_GAPS, wanted)]

    async def all(self, sequence: int, span: Span, *, before: int, limit: int) -> Sequence[Run]:
        """Runs below a position that came to be what they are in a span, the last first."""
        wanted = {"of": sequence, "before": before, "most": limit, **_bounds(span)}
        return [as_run(row) for row in await self._store.fetch_all(_ALL, wanted)]

    async def at(self, sequence: int, position: int) -> Sequence[Run]:
        """The run that a position lies in; none when it was never issued."""
        rows = await self._store.fetch_all(_AT, {"of": sequence, "at": position})
        return [run for run in map(as_run, rows) if position < run.stop]

    async def voids(self, sequence: int, *, after: int, limit: int) -> Sequence[Run]:
        """Void runs, behind a position."""
        wanted = {"of": sequence, "after": after, "most": limit}
        return [as_run(row) for row in await self._store.fetch_all(_VOIDS, wanted)]

    async def is_reported(self, day: str) -> bool:
        """Whether a day's report is kept."""
        return bool(await self._store.fetch_all(_IS_REPORTED, {"on": day}))

    async def report(self, day: str, tallies: Mapping[int, Tally], now: datetime) -> bool:
        """Keep a day's report; False when another server was first."""
        all_ = Tally()
        for tally in tallies.values():
            for shown, count in tally.counts.items():
                all_.add(shown, count, tally.oldest or now)
        async with self._store.transaction() as tx:
            if await tx.fetch_all(_IS_REPORTED, {"on": day}):
                return False
            rows = [
                {"day": day, "sequence": sequence, **_report_values(tally, now)}
                for sequence, tally in {ALL_SEQUENCES: all_, **tallies}.items()
            ]
            await tx.execute(_REPORT, rows)
        return True

    async def _one(self, statement: sa.Select[Any], parameters: Mapping[str, Any]) -> int:
        """The one number that a read answers, 0 for none; it may take long."""
        found = 0
        async for rows in self._store.scan(statement, parameters):
            for (number,) in rows:
                found = number
        return found


def shown(run: Run, now: datetime) -> Shown:
    """What became of a run, as a report says it."""
    if run.has_expired(now):
        return Shown.EXPIRED
    return Shown.RELEASED if run.fate is Fate.FREE else Shown[run.fate.name]


def _shown(row: Row) -> Shown:
    fate = Fate(row.fate)
    if fate is Fate.FREE:
        return Shown.RELEASED if row.is_loose else Shown.EXPIRED
    return Shown.EXPIRED if fate is Fate.RESERVED and row.is_over else Shown[fate.name]


def _is_bounded(span: Span) -> bool:
    return span.begin is not None or span.end is not None


def _bounds(span: Span) -> dict[str, int]:
    return {
        "begin_us": to_micros(span.begin) if span.begin else -(2**62),
        "end_us": to_micros(span.end) if span.end else 2**62,
    }


def _report_values(tally: Tally, now: datetime) -> dict[str, int]:
    counted = {
        one.name.lower(): count for one, count in tally.counts.items() if one is not Shown.CONFIRMED
    }
    oldest = to_micros(tally.oldest) if tally.oldest else 0
    return {**counted, "oldest_us": oldest, "report_us": to_micros(now)}
