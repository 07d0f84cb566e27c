"""Where numbers are kept: a head for each sequence, and its runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from google.protobuf.message import Message

from mesh.clock import from_micros, to_micros
from mesh.storage import Row, Store, Transaction
from sequencer.entry import Witness
from sequencer.gapless.numbers import Change, Fate, Head, Run
from sequencer.gapless.tables import as_run, head_table, run_table, taken_table
from sequencer.gapless.unit import Free, HeldRuns, Look, Wanted

_h, _r = head_table.c, run_table.c
_of: Final[sa.BindParameter[int]] = sa.bindparam("of")
_OURS: Final = _r.sequence == _of


def _mark_below(name: str) -> Any:
    """The mark of the run before a position."""
    below = sa.select(_r.mark).where(_OURS, _r.position < sa.bindparam(name))
    return below.order_by(_r.position.desc()).limit(1).scalar_subquery()


_SEEN: Final = (
    *(column.label(f"head_{column.name}") for column in _h),
    _mark_below("one").label("mark_one"),
    _mark_below("two").label("mark_two"),
)
_HEAD: Final = sa.select(*_SEEN).where(_h.sequence == _of)


def _head_and(*which: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """The head beside each of some runs, in their order; one row when there are none."""
    beside = head_table.outerjoin(run_table, sa.and_(_r.sequence == _h.sequence, *which))
    return (
        sa.select(*_SEEN, run_table)
        .select_from(beside)
        .where(_h.sequence == _of)
        .order_by(_r.position)
    )


_HEAD_AND_FREE: Final = _head_and(_r.fate == Fate.FREE.value).limit(sa.bindparam("most"))
_HEAD_AND_HELD: Final = _head_and(
    _r.reservation == sa.bindparam("number"), _r.token == sa.bindparam("proof")
)
_ADD_HEAD: Final = sa.insert(head_table)
_MOVE_HEAD: Final = sa.update(head_table).where(_h.sequence == _of)

_FREE: Final = (
    sa.select(run_table)
    .where(_OURS, _r.fate == Fate.FREE.value)
    .order_by(_r.position)
    .limit(sa.bindparam("most"))
)
_BEGIN: Final = sa.select(sa.func.max(_r.position)).where(
    _OURS, _r.position <= sa.bindparam("first")
)
_AROUND: Final = (
    sa.select(run_table)
    .where(_OURS, _r.position.between(sa.bindparam("begin"), sa.bindparam("last")))
    .order_by(_r.position)
)
_RUNNING: Final = _OURS & (_r.fate == Fate.RESERVED.value)
_EXPIRE: Final = (
    sa.update(run_table)
    .where(_RUNNING, _r.expire_us <= sa.bindparam("now"))
    .values(fate=Fate.FREE.value, since_us=_r.expire_us)
)
_DUE: Final = sa.select(sa.func.min(_r.expire_us)).where(_RUNNING)
_DOUBT: Final = (
    sa.update(run_table)
    .where(_OURS, _r.fate.in_([Fate.FREE.value, Fate.RESERVED.value]))
    .values(fate=Fate.LOST_TRACK.value, since_us=sa.bindparam("now"))
)
_BY: Final = (taken_table.c.sequence == _of, taken_table.c.caller == sa.bindparam("who"))
_TAKEN: Final = sa.select(taken_table.c.day, taken_table.c.taken).where(*_BY)
_TAKE: Final = sa.update(taken_table).where(*_BY)
_FIRST_TAKE: Final = sa.insert(taken_table)
_ADD_RUN: Final = sa.insert(run_table)
_CHANGE_RUN: Final = sa.update(run_table).where(_OURS, _r.position == sa.bindparam("begin"))


class SqlNumbers:
    """The numbers of all sequences, in the service's database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @asynccontextmanager
    async def unit(self, sequence: int) -> AsyncIterator[SqlUnit]:
        """A transaction over one sequence; durable when the block has ended."""
        async with self._store.transaction() as transaction:
            yield SqlUnit(transaction, sequence)


class SqlUnit:
    """One transaction; nobody else changes the sequence meanwhile."""

    def __init__(self, transaction: Transaction, sequence: int) -> None:
        self._transaction = transaction
        self._of = {"of": sequence}
        self._is_new = False

    async def look(self, witnesses: Sequence[Witness], wanted: Wanted) -> Look:
        """Where the sequence stands, what of at most two witnesses is there, and wanted runs."""
        one, two, *_ = *(witness.position for witness in witnesses), 0, 0
        places = {**self._of, "one": one, "two": two}
        match wanted:
            case Free(most=most):
                rows = await self._transaction.fetch_all(_HEAD_AND_FREE, {**places, "most": most})
            case HeldRuns(reservation=number, token=proof):
                claimed = {**places, "number": number, "proof": proof}
                rows = await self._transaction.fetch_all(_HEAD_AND_HELD, claimed)
            case None:
                rows = await self._transaction.fetch_all(_HEAD, places)
        self._is_new = not rows
        marks = (rows[0].mark_one, rows[0].mark_two) if rows else (None, None)
        return Look(
            head=_as_head(rows[0]) if rows else Head(),
            found=[*zip(witnesses, marks, strict=False)],
            runs=[as_run(row) for row in rows if row.position is not None] if wanted else [],
        )

    async def free(self, most: int) -> Sequence[Run]:
        """The lowest free runs."""
        rows = await self._transaction.fetch_all(_FREE, {**self._of, "most": most})
        return [as_run(row) for row in rows]

    async def around(self, positions: Sequence[int]) -> Sequence[Run]:
        """The runs that some rising positions lie in."""
        found: dict[int, Run] = {}
        for first, last in _rows(positions):
            (at,) = await self._transaction.fetch_all(_BEGIN, {**self._of, "first": first})
            span = {**self._of, "begin": at[0] if at[0] is not None else first, "last": last}
            for row in await self._transaction.fetch_all(_AROUND, span):
                found[row.position] = as_run(row)
        return [*found.values()]

    async def expire(self, now: datetime) -> datetime | None:
        """Free what ran out; when the next lease does, None when none runs."""
        await self._transaction.execute(_EXPIRE, {**self._of, "now": to_micros(now)})
        ((due,),) = await self._transaction.fetch_all(_DUE, self._of)
        return None if due is None else from_micros(due)

    async def take(self, caller: str, day: str, count: int) -> int:
        """Count numbers that a caller reserves; how many it has by then on that day."""
        rows = await self._transaction.fetch_all(_TAKEN, {**self._of, "who": caller})
        before = rows[0].taken if rows and rows[0].day == day else 0
        values = {"day": day, "taken": before + count}
        if rows:
            await self._transaction.execute(_TAKE, {**self._of, "who": caller, **values})
        else:
            row = {"sequence": self._of["of"], "caller": caller, **values}
            await self._transaction.execute(_FIRST_TAKE, row)
        return before + count

    async def apply(self, change: Change) -> None:
        """Store a change of what was read."""
        if change.doubted is not None:
            doubted = {**self._of, "now": to_micros(change.doubted)}
            await self._transaction.execute(_DOUBT, doubted)
        if self._is_new:
            values = {"sequence": self._of["of"], **_head_values(change.head)}
            await self._transaction.execute(_ADD_HEAD, values)
        else:
            await self._transaction.execute(_MOVE_HEAD, self._of | _head_values(change.head))
        changed = [
            {**self._of, "begin": run.position, **_run_values(run)} for run in change.changed
        ]
        added = [
            {"sequence": self._of["of"], "position": run.position, **_run_values(run)}
            for run in change.added
        ]
        for statement, sets in ((_CHANGE_RUN, changed), (_ADD_RUN, added)):
            if sets:
                await self._transaction.execute(statement, sets[0] if len(sets) == 1 else sets)

    def answer(self, message: Message) -> None:
        """The answer of the call that this is the effect of."""
        self._transaction.answer(message)


def _as_head(row: Row) -> Head:
    return Head(
        number=row.head_number,
        mark=row.head_mark,
        epoch=row.head_epoch,
        position=row.head_position,
        fence=row.head_fence,
        due=from_micros(row.head_due_us) if row.head_due_us else None,
    )


def _head_values(head: Head) -> dict[str, int]:
    return {
        "number": head.number,
        "mark": head.mark,
        "epoch": head.epoch,
        "position": head.position,
        "fence": head.fence,
        "due_us": to_micros(head.due) if head.due is not None else 0,
    }


def _run_values(run: Run) -> dict[str, Any]:
    return {
        "size": run.size,
        "mark": run.mark,
        "fate": run.fate.value,
        "holder": run.holder,
        "since_us": to_micros(run.since),
        "expire_us": to_micros(run.expire),
        "reservation": run.reservation,
        "token": run.token,
        "whole": run.whole,
        "reason": run.reason,
    }


def _rows(positions: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first and last of positions that lie side by side."""
    begin = last = positions[0]
    for position in positions[1:]:
        if position != last + 1:
            yield begin, last
            begin = position
        last = position
    yield begin, last
