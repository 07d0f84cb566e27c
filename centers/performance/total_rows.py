"""Sums of a metric: counted by the database over indexes, in a thread of its own.

Days are those of the movements: a result counts on its business date, and its
reversal counts against it on the date of the reversal. So each day, and any span
of days, has the same sum over results and over entries (X5), and a day that is
over never changes but by entries dated on it. All sums of an answer come from one
statement, which sees one state of the ledger: what is recorded meanwhile is in all
of them or in none.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, Final, TypeAlias

import sqlalchemy as sa

from centers.performance.ledger_rows import within
from centers.performance.reading import OwnerSum, Span, Totals
from centers.performance.scope import Reach
from centers.performance.tables import credit, result
from mesh.storage import Row, Statement, Store

MAX_OWNERS: Final = 1_000
LAST_DAY: Final = "9999-12-31"

_OWNER, _WHOLE, _SPLIT = range(3)
"""What a row of the sums is about."""

_NONE: Final[sa.ColumnElement[int]] = sa.literal_column("0")
_Columns: TypeAlias = tuple[
    sa.Label[Any], sa.Label[Any], sa.Label[Any], sa.Label[Any], sa.Label[Any]
]

_c: Final = credit.c
_r: Final = result.c


class Sums:
    """Adds up results and credits."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def totals(self, span: Span, reach: Reach) -> Totals:
        rows = await self._rows(_sums(span, reach))
        owners = [_owner(row) for row in rows if row.part == _OWNER]
        (whole,) = (row for row in rows if row.part == _WHOLE)
        (split,) = (row.results for row in rows if row.part == _SPLIT)
        named = sorted((one for one in owners if one.owner_id), key=_rank)
        return Totals(
            total_fen=int(whole.amount) if reach.is_all else sum(one.amount_fen for one in owners),
            unallocated_fen=sum(one.amount_fen for one in owners if not one.owner_id),
            owners=named[:MAX_OWNERS],
            results=int(whole.results),
            split_customers=int(split),
        )

    async def _rows(self, statement: Statement) -> Sequence[Row]:
        async with aclosing(self._store.scan(statement)) as blocks:  # type: ignore[type-var]
            return [row async for block in blocks for row in block]


def _sums(span: Span, reach: Reach) -> Statement:
    """Rows of owners, one of the whole, and one of customers with several owners."""
    whole = _bank(span) if reach.is_all else _results(span, reach)
    return sa.union_all(_owners(span, reach), whole, _split(span, reach))


def _entries_of(span: Span) -> sa.ColumnElement[bool]:
    """The entries of the span."""
    return _in_span(span, credit, _c.business_date)


def _results_of(span: Span, day: sa.Column[Any]) -> sa.ColumnElement[bool]:
    """The results that count, by one of their two dates."""
    return sa.and_(_in_span(span, result, day), _r.counts == 1)


def _in_span(span: Span, table: sa.Table, day: sa.Column[Any]) -> sa.ColumnElement[bool]:
    terms = [table.c.metric == int(span.metric)]
    if span.start or span.end:  # without dates other indexes are better
        terms.append(day.between(span.start, span.end or LAST_DAY))
    if span.scene_version:
        terms.append(table.c.scene_version == span.scene_version)
    return sa.and_(*terms)


def _part(part: int, amount: sa.ColumnElement[Any], results: sa.ColumnElement[Any]) -> _Columns:
    """The columns of a row that is about no owner."""
    nobody, nowhere = _NONE.label("owner_id"), _NONE.label("branch_id")
    kind: sa.Label[int] = sa.literal_column(str(part)).label("part")
    return kind, nobody, nowhere, amount.label("amount"), results.label("results")


def _owners(span: Span, reach: Reach) -> sa.Select[Any]:
    amount, results = sa.func.sum(_c.amount_fen), sa.func.sum(_c.sign)
    columns = _part(_OWNER, amount, results)
    return (
        sa.select(columns[0], _c.owner_id, _c.branch_id, *columns[3:])
        .where(_entries_of(span), within(reach))
        .group_by(_c.owner_id, _c.branch_id)
        .having(sa.or_(amount != 0, results != 0))
    )


def _bank(span: Span) -> sa.Select[Any]:
    """Results of the span without those that were taken back within it."""
    moved = sa.union_all(
        sa.select(_r.amount_fen.label("amount"), sa.literal_column("1").label("sign")).where(
            _results_of(span, _r.business_date)
        ),
        sa.select(-_r.amount_fen, sa.literal_column("-1")).where(
            _results_of(span, _r.reverse_date), _r.reversed == sa.literal_column("1")
        ),
    ).subquery()
    amount, sign = moved.c.amount, moved.c.sign
    total, count = sa.func.coalesce(sa.func.sum(amount), 0), sa.func.coalesce(sa.func.sum(sign), 0)
    return sa.select(*_part(_WHOLE, total, count))


def _results(span: Span, reach: Reach) -> sa.Select[Any]:
    """Results that entries within reach come from, without those taken back."""
    standing = (
        sa.select(_c.result_id)
        .where(_entries_of(span), within(reach))
        .group_by(_c.result_id)
        .having(sa.func.sum(_c.sign) > 0)
        .subquery()
    )
    return sa.select(*_part(_WHOLE, _NONE, sa.func.count())).select_from(standing)


def _split(span: Span, reach: Reach) -> sa.Select[Any]:
    """Customers of whom a result that stands has several owners."""
    customers = sa.func.count(_r.customer_id.distinct())
    split = sa.select(*_part(_SPLIT, _NONE, customers)).where(
        _results_of(span, _r.business_date), _r.reversed == 0, _r.owners > sa.literal_column("1")
    )
    if reach.is_all:
        return split
    return split.where(sa.exists().where(_c.result_id == _r.result_id, within(reach)))


def _rank(owner: OwnerSum) -> tuple[int, int, int]:
    """Who got most comes first."""
    return -owner.amount_fen, owner.owner_id, owner.branch_id


def _owner(row: Row) -> OwnerSum:
    """MySQL adds integers up to decimals."""
    return OwnerSum(
        owner_id=row.owner_id,
        branch_id=row.branch_id,
        amount_fen=int(row.amount),
        results=int(row.results),
    )
