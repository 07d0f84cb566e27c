"""Reports that an outside party owes the bank, in its own database until they are accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from mesh.clock import from_micros, to_micros
from mesh.storage import Row, Store, Transaction

if TYPE_CHECKING:
    from alembic.operations import Operations

NAME: Final = "report"

metadata: Final = sa.MetaData()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is to be told: a serialized request. Those of one `key` are told in their order."""

    key: int
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedReport(Report):
    """A report that was not accepted yet; `attempts` counts how often it was refused."""

    report_id: int
    create_time: datetime
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Postponed:
    """A report that was refused, and when it is to be told again."""

    report_id: int
    until: datetime


def _columns() -> list[sa.Column[Any]]:
    return [
        sa.Column(
            "report_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True
        ),
        sa.Column("report_key", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("create_us", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_us", sa.BigInteger, nullable=False),
    ]


report: Final = sa.Table(NAME, metadata, *_columns(), sa.Index("report_due", "due_us"))
"""Times are microseconds since 1970, UTC."""


def create_table(op: Operations | Any) -> None:
    """Make the table; to be called by a simulator's revision. `op` is `alembic.op`."""
    op.create_table(NAME, *_columns())
    op.create_index("report_due", NAME, ["due_us"])


_OWE = sa.insert(report)
_DUE = (
    sa.select(report)
    .where(report.c.due_us <= sa.bindparam("now"))
    .order_by(report.c.due_us, report.c.report_id)
    .limit(sa.bindparam("count"))
)
_NEXT = sa.select(sa.func.min(report.c.due_us).label("due_us"))
_FORGET = sa.delete(report).where(report.c.report_id == sa.bindparam("id"))
_POSTPONE = (
    sa.update(report)
    .where(report.c.report_id == sa.bindparam("id"))
    .values(attempts=report.c.attempts + 1, due_us=sa.bindparam("until"))
)


async def owe(tx: Transaction, reports: Sequence[Report], now: datetime) -> None:
    """Owe the reports from the end of this transaction on."""
    moment = to_micros(now)
    rows = [
        {
            "report_key": one.key,
            "payload": one.payload,
            "create_us": moment,
            "attempts": 0,
            "due_us": moment,
        }
        for one in reports
    ]
    if rows:
        await tx.execute(_OWE, rows)


class ReportStore:
    """Holds the reports owed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def due(self, now: datetime, limit: int) -> Sequence[OwedReport]:
        rows = await self._store.fetch_all(_DUE, {"now": to_micros(now), "count": limit})
        return [_to_report(row) for row in rows]

    async def next_due(self) -> datetime | None:
        (row,) = await self._store.fetch_all(_NEXT)
        return None if row.due_us is None else from_micros(row.due_us)

    async def settle(self, done: Sequence[int], postponed: Sequence[Postponed]) -> None:
        async with self._store.transaction() as tx:
            if done:
                await tx.execute(_FORGET, [{"id": report_id} for report_id in done])
            if postponed:
                await tx.execute(
                    _POSTPONE,
                    [{"id": one.report_id, "until": to_micros(one.until)} for one in postponed],
                )


def _to_report(row: Row) -> OwedReport:
    return OwedReport(
        report_id=row.report_id,
        key=row.report_key,
        payload=row.payload,
        create_time=from_micros(row.create_us),
        attempts=row.attempts,
    )
