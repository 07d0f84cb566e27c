"""Where workers are kept: a head for each sequence, the newest window of each worker, past ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import sqlalchemy as sa

from mesh.storage import Row, Store, Transaction
from sequencer.snowflake.rules import Head, Vacancy, Window

_metadata: Final = sa.MetaData()
head_table: Final = sa.Table(
    "worker_head",
    _metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("floor", sa.BigInteger, nullable=False),
)
worker_table: Final = sa.Table(
    "worker",
    _metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("worker_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("holder", sa.String(300), nullable=False),
    sa.Column("from_tick", sa.BigInteger, nullable=False),
    sa.Column("until_tick", sa.BigInteger, nullable=False),
    sa.Index("worker_until", "sequence", "until_tick", "worker_id"),
)
past_table: Final = sa.Table(
    "worker_window",
    _metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("worker_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("from_tick", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("until_tick", sa.BigInteger, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("holder", sa.String(300), nullable=False),
)

_h, _w, _p = head_table.c, worker_table.c, past_table.c
_of: Final[sa.BindParameter[int]] = sa.bindparam("of")
_id: Final[sa.BindParameter[int]] = sa.bindparam("id")
_at: Final[sa.BindParameter[int]] = sa.bindparam("at")

_HEAD: Final = sa.select(head_table).where(_h.sequence == _of)
_ADD_HEAD: Final = sa.insert(head_table)
_MOVE_HEAD: Final = sa.update(head_table).where(
    _h.sequence == _of, _h.number == sa.bindparam("before")
)

_OURS: Final = _w.sequence == _of
_FREE: Final = sa.select(sa.func.min(_w.worker_id)).where(_OURS, _w.until_tick <= _at)
_USED: Final = sa.select(sa.func.max(_w.worker_id), sa.func.min(_w.until_tick)).where(_OURS)
_ONE: Final = sa.select(worker_table).where(_OURS, _w.worker_id == _id)
_SOME: Final = (
    sa.select(worker_table)
    .where(_OURS, _w.worker_id > sa.bindparam("after"))
    .order_by(_w.worker_id)
    .limit(sa.bindparam("most"))
)
_ADD: Final = sa.insert(worker_table)
_CHANGE: Final = sa.update(worker_table).where(_OURS, _w.worker_id == _id)

_ADD_PAST: Final = sa.insert(past_table)
_FORGET: Final = sa.delete(past_table).where(
    _p.sequence == _of, _p.worker_id == _id, _p.until_tick < _at
)
_PAST: Final = (
    sa.select(past_table)
    .where(_p.sequence == _of, _p.worker_id == _id, _p.from_tick <= _at)
    .order_by(_p.from_tick.desc())
    .limit(1)
)


class SqlWorkers:
    """The workers of all sequences, in the service's database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @asynccontextmanager
    async def unit(self, uid: int) -> AsyncIterator[SqlUnit]:
        async with self._store.transaction() as transaction:
            yield SqlUnit(transaction, uid)

    async def windows(self, uid: int, *, after: int, limit: int) -> Sequence[Window]:
        rows = await self._store.fetch_all(_SOME, {"of": uid, "after": after, "most": limit})
        return [_window(row) for row in rows]

    async def window_at(self, uid: int, worker_id: int, tick: int) -> Window | None:
        rows = await self._store.fetch_all(_ONE, {"of": uid, "id": worker_id})
        if not rows or tick < rows[0].from_tick:
            rows = await self._store.fetch_all(_PAST, {"of": uid, "id": worker_id, "at": tick})
        found = _window(rows[0]) if rows else None
        return found if found and tick < found.until_tick else None


class SqlUnit:
    """One transaction, which holds the database's only writer."""

    def __init__(self, transaction: Transaction, uid: int) -> None:
        self._transaction = transaction
        self._uid = uid
        self._stored: Head | None = None

    async def head(self) -> Head:
        rows = await self._transaction.fetch_all(_HEAD, {"of": self._uid})
        if not rows:
            return Head()
        row = rows[0]
        self._stored = Head(number=row.number, position=row.position, floor=row.floor)
        return self._stored

    async def vacancy(self, by_tick: int) -> Vacancy:
        ((free,),) = await self._transaction.fetch_all(_FREE, {"of": self._uid, "at": by_tick})
        ((last, earliest),) = await self._transaction.fetch_all(_USED, {"of": self._uid})
        return Vacancy(
            free=await self.window(free) if free is not None else None,
            used=0 if last is None else last + 1,
            earliest=earliest or 0,
        )

    async def window(self, worker_id: int) -> Window | None:
        rows = await self._transaction.fetch_all(_ONE, {"of": self._uid, "id": worker_id})
        return _window(rows[0]) if rows else None

    async def move(self, head: Head) -> None:
        values = {"number": head.number, "position": head.position, "floor": head.floor}
        if self._stored is None:
            await self._transaction.execute(_ADD_HEAD, {"sequence": self._uid, **values})
        elif head != self._stored:
            where = {"of": self._uid, "before": self._stored.number}
            hit = await self._transaction.execute(_MOVE_HEAD, {**where, **values})
            assert hit == 1, "two writers at once"

    async def begin(self, window: Window) -> None:
        past = await self.window(window.worker_id)
        if past is None:
            await self._transaction.execute(_ADD, self._values(window))
            return
        if past.until_tick > past.from_tick:
            await self._transaction.execute(_ADD_PAST, self._values(past))
        await self.change(window)

    async def change(self, window: Window) -> None:
        values = self._values(window)
        where = {"of": values.pop("sequence"), "id": values.pop("worker_id")}
        await self._transaction.execute(_CHANGE, {**where, **values})

    async def forget(self, worker_id: int, before_tick: int) -> None:
        values = {"of": self._uid, "id": worker_id, "at": before_tick}
        await self._transaction.execute(_FORGET, values)

    def _values(self, window: Window) -> dict[str, Any]:
        return {
            "sequence": self._uid,
            "worker_id": window.worker_id,
            "token": window.token,
            "holder": window.holder,
            "from_tick": window.from_tick,
            "until_tick": window.until_tick,
        }


def _window(row: Row) -> Window:
    return Window(
        worker_id=row.worker_id,
        token=row.token,
        holder=row.holder,
        from_tick=row.from_tick,
        until_tick=row.until_tick,
    )
