"""Which events a consumer has had, kept in the transaction of what it did about them."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from itertools import islice, zip_longest
from typing import Final

import sqlalchemy as sa

from mesh.clock import Clock, to_micros
from mesh.storage._base import Store, Transaction

PURGE_BATCH: Final = 500

_MICROSECOND: Final = timedelta(microseconds=1)

metadata: Final = sa.MetaData()

seen: Final = sa.Table(
    "engine_inbox",
    metadata,
    # In the order of arrival, so that the oldest are found without an index of their times.
    sa.Column("arrival", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("consumer", sa.String(128), nullable=False),
    sa.Column("event_id", sa.String(32), nullable=False),
    sa.Column("seen_us", sa.BigInteger, nullable=False, comment="microseconds, UTC"),
    sa.UniqueConstraint("consumer", "event_id", name="engine_inbox_event"),
    info={"ordered": "one writer at a time"},
)

_RECORD: Final = sa.insert(seen)
_ASKED: Final = tuple(f"id_{number}" for number in range(50))
"""Ids asked for by one statement: always as many, so that it is compiled once."""

_SEEN: Final = sa.select(seen.c.event_id).where(
    seen.c.consumer == sa.bindparam("consumer"),
    sa.or_(*(seen.c.event_id == sa.bindparam(name) for name in _ASKED)),
)
_OLDEST: Final = (
    sa.select(seen.c.arrival, seen.c.seen_us).order_by(seen.c.arrival).limit(PURGE_BATCH)
)
_LAST: Final = sa.select(seen.c.seen_us).order_by(seen.c.arrival.desc()).limit(1)
_PURGE: Final = sa.delete(seen).where(
    seen.c.arrival <= sa.bindparam("arrival"),
    # Where several servers number the rows, as TiDB's, a younger one may come before.
    seen.c.seen_us < sa.bindparam("moment"),
)


class Inbox:
    """The events that one consumer of a store has had.

    Args:
        store: the store that the consumer's effects go to.
        consumer: tells apart the consumers of one store.
        clock: dates the entries.
    """

    def __init__(self, store: Store, consumer: str, clock: Clock) -> None:
        self._store = store
        self._consumer = consumer
        self._clock = clock

    async def seen(self, event_ids: Collection[str]) -> AbstractSet[str]:
        """Those of the events that it has had."""
        found: set[str] = set()
        rest = iter(event_ids)
        while asked := [*islice(rest, len(_ASKED))]:
            given = dict(zip_longest(_ASKED, asked, fillvalue=asked[0]))
            rows = await self._store.fetch_all(_SEEN, {"consumer": self._consumer, **given})
            found.update(row.event_id for row in rows)
        return found

    async def record(self, transaction: Transaction, event_ids: Collection[str]) -> None:
        """Keep that it has had them, with the other effects of the transaction.

        Raises:
            IntegrityViolation: it has had one of them.
        """
        now = to_micros(self._clock.now())
        await transaction.execute(
            _RECORD,
            [
                {"consumer": self._consumer, "event_id": event_id, "seen_us": now}
                for event_id in event_ids
            ],
        )


async def purge_inbox(store: Store, kept: timedelta, now: datetime) -> int:
    """Forget the events had longer before the last one than that; how many there were.

    Not longer before now: after a crash the bus hands out again what was had last,
    however long the service was down.
    """
    last = await store.fetch_all(_LAST)
    moment = min((to_micros(now), *(row.seen_us for row in last))) - kept // _MICROSECOND
    removed = 0
    while True:
        oldest = await store.fetch_all(_OLDEST)
        old = [row.arrival for row in oldest if row.seen_us < moment]
        if not old:
            return removed
        async with store.transaction() as transaction:
            removed += await transaction.execute(_PURGE, {"arrival": old[-1], "moment": moment})
