"""Events wait here, in the database of the change that they tell of, for the bus to take them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

import sqlalchemy as sa

from mesh.storage._base import RelayTurn, Store

Turns = Callable[[], AbstractAsyncContextManager[RelayTurn]]

MAX_BYTES: Final = 3 << 20
"""Most bytes of events that `read` answers by default; one event may be larger by itself."""

metadata: Final = sa.MetaData()

events: Final = sa.Table(
    "engine_outbox",
    metadata,
    sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("event", sa.LargeBinary, nullable=False),
    sqlite_autoincrement=True,  # a place is never used again: `remove` goes by it
    info={"ordered": "places are SQLite's, or given: see `engine_turn`"},
)

PUBLISH: Final = sa.insert(events)

_BEHIND: Final = (
    sa.select(events.c.position)
    .where(events.c.position > sa.bindparam("after"))
    .order_by(events.c.position)
    .limit(sa.bindparam("most"))
)
_SIZES: Final = _BEHIND.add_columns(sa.func.length(events.c.event).label("size"))
_READ: Final = _BEHIND.add_columns(events.c.event)
_REMOVE: Final = sa.delete(events).where(events.c.position <= sa.bindparam("through"))


class TableOutbox:
    """The outbox of a store, as a table of it.

    Args:
        store: has the table.
        turns: gives the right to pass on what it holds.
    """

    def __init__(self, store: Store, turns: Turns) -> None:
        self._store = store
        self._turns = turns
        self._news = asyncio.Event()

    def published(self) -> None:
        """A transaction that published has committed."""
        self._news.set()

    async def read(
        self, limit: int, *, after: int = 0, max_bytes: int = MAX_BYTES
    ) -> Sequence[tuple[int, bytes]]:
        self._news.clear()
        sizes = await self._store.fetch_all(_SIZES, {"after": after, "most": limit})
        most = _fitting([row.size for row in sizes], max_bytes)
        rows = await self._store.fetch_all(_READ, {"after": after, "most": most}) if most else ()
        return [(row.position, row.event) for row in rows]

    async def remove(self, through: int) -> int:
        async with self._store.transaction() as tx:
            return await tx.execute(_REMOVE, {"through": through})

    async def wait(self) -> None:
        await self._news.wait()

    def turn(self) -> AbstractAsyncContextManager[RelayTurn]:
        return self._turns()


def _fitting(sizes: Sequence[int], max_bytes: int) -> int:
    """How many of the first fit together; at least one, when there is one."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if total > max_bytes:
            return max(count, 1)
    return len(sizes)
