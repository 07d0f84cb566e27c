"""The behaviour log as rows: entries are added and read, nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from centers.review.behaviors import EMPTY, Entry, Filter, Keys, Told, append
from centers.review.tables import behavior
from mesh.seal import Head
from mesh.storage import Row, Store, Transaction

LAST_POSITION: Final = 2**63 - 1

_HEAD: Final = (
    sa.select(behavior.c.position, behavior.c.seal).order_by(behavior.c.position.desc()).limit(1)
)
_APPEND: Final = sa.insert(behavior)
_ALL: Final = sa.select(behavior).order_by(behavior.c.position)


class BehaviorRows:
    """Keeps the log."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def append(self, tx: Transaction, told: Told, keys: Keys) -> None:
        """Put a record behind the newest entry.

        That is read in the same transaction, so that one that is undone leaves the
        chain as it was.
        """
        rows = await tx.fetch_all(_HEAD)
        head = Head(position=rows[0].position, seal=rows[0].seal) if rows else EMPTY
        await tx.execute(_APPEND, _values(append(told, keys, head)))

    async def newest(self, wanted: Filter, *, before: int | None, limit: int) -> Sequence[Entry]:
        """Entries, newest first, from before a position on."""
        given = {name: value for name, value in asdict(wanted).items() if value is not None}
        place = {"before": before or LAST_POSITION, "count": limit}
        rows = await self._store.fetch_all(_page(tuple(given)), {**given, **place})
        return [_entry(row) for row in rows]

    async def entries(self) -> AsyncIterator[Sequence[Entry]]:
        """The whole log in blocks, oldest first."""
        async for rows in self._store.scan(_ALL):
            yield [_entry(row) for row in rows]


@lru_cache
def _page(names: tuple[str, ...]) -> sa.Select[Any]:
    """Reads a page of what has these columns as asked for."""
    asked = (behavior.c[name] == sa.bindparam(name) for name in names)
    return (
        sa.select(behavior)
        .where(behavior.c.position < sa.bindparam("before"), *asked)
        .order_by(behavior.c.position.desc())
        .limit(sa.bindparam("count"))
    )


def _values(entry: Entry) -> dict[str, Any]:
    told, keys = entry.told, entry.keys
    return {
        "position": entry.position,
        "event_id": told.event_id,
        "source": told.source,
        "record": told.record,
        "seal": entry.seal,
        "actor": keys.actor,
        "branch_id": keys.branch_id,
        "customer_id": keys.customer_id,
        "task_id": keys.task_id,
        "verb": keys.verb,
    }


def _entry(row: Row) -> Entry:
    return Entry(
        position=row.position,
        told=Told(event_id=row.event_id, source=row.source, record=row.record),
        keys=Keys(
            actor=row.actor,
            branch_id=row.branch_id,
            customer_id=row.customer_id,
            task_id=row.task_id,
            verb=row.verb,
        ),
        seal=row.seal,
    )
