"""The decision centre's database: what customers' events say, looked back on."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, cast

import orjson
import sqlalchemy as sa

from centers.decision.blocks import blocks
from centers.decision.domain import Fact, Measured
from centers.decision.tables import business_event
from mesh.storage import Row, Statement, Store, Transaction

HISTORIES_AT_ONCE: Final = 100
"""Customers whose whole histories one statement reads: some 20 ms."""

ROWS: Final = 20_000
"""Events that one statement reads: some 60 ms. A shop may have more on its own."""

_e: Final = business_event.c
_ORDER: Final = (_e.customer_id, _e.event_type, _e.occurred_us, _e.business_key)
_IN_TIME: Final = sa.and_(
    _e.customer_id.in_(sa.bindparam("customers", expanding=True)),
    _e.event_type == sa.bindparam("type"),
    _e.occurred_us >= sa.bindparam("since"),
    _e.occurred_us <= sa.bindparam("until"),
    sa.tuple_(_e.occurred_us, _e.business_key)
    > sa.tuple_(sa.bindparam("after_us"), sa.bindparam("after_key")),
)
_OF_CUSTOMERS: Final = (
    sa.select(business_event).where(_IN_TIME).order_by(*_ORDER).limit(sa.bindparam("rows"))
)
_MEASURES: Final = (
    sa.select(
        _e.customer_id,
        _e.occurred_us,
        _e.business_key,
        sa.cast(sa.func.json_extract(_e.attributes, sa.bindparam("path")), sa.BigInteger).label(
            "value"
        ),
        _e.ingest_us,
        _e.reversed_us,
    )
    .where(_IN_TIME)
    .order_by(*_ORDER)
    .limit(sa.bindparam("rows"))
)
"""Picked out by the database: a history is long, and one number of each event is wanted.
MariaDB takes it for a text until it is told that it is a number."""
_LATEST: Final = (
    sa.select(business_event)
    .where(_e.customer_id == sa.bindparam("customer"), _e.event_type == sa.bindparam("type"))
    .order_by(_e.occurred_us.desc(), _e.business_key.desc())
    .limit(sa.bindparam("count"))
)
_ONE: Final = sa.select(business_event).where(
    _e.event_type == sa.bindparam("type"), _e.business_key == sa.bindparam("key")
)
_BY_CUSTOMER: Final = (
    sa.select(business_event)
    .where(
        _e.event_type.concat("").in_(sa.bindparam("types", expanding=True)),
        _e.occurred_us >= sa.bindparam("since"),
        _e.occurred_us <= sa.bindparam("until"),
    )
    .order_by(_e.customer_id)
)
"""Passes over all rows as they lie, by customer. The empty text keeps the database from
fetching those of a type one by one by the index of keys, and sorting them afterwards."""

_customer_of: Final = attrgetter("customer_id")


class Histories:
    """Reads events of the log, those of a customer together."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of_customers(
        self,
        tx: Transaction,
        event_type: str,
        customers: Collection[int],
        *,
        since_us: int,
        until_us: int,
    ) -> Mapping[int, Sequence[Fact]]:
        """The customers' events of a type in a time, both ends included, by `place`."""
        found: defaultdict[int, list[Fact]] = defaultdict(list)
        place = {"type": event_type, "since": since_us, "until": until_us}
        async for rows in _pages(tx, _OF_CUSTOMERS, blocks(sorted(customers)), place):
            for customer, of_customer in groupby(rows, _customer_of):
                found[customer] += map(_fact, of_customer)
        return found

    async def measures(
        self,
        tx: Transaction,
        event_type: str,
        measure: str,
        customers: Collection[int],
        *,
        since_us: int,
        until_us: int,
    ) -> Mapping[int, Sequence[Measured]]:
        """One number of the customers' events, otherwise as `of_customers`."""
        found: defaultdict[int, list[Measured]] = defaultdict(list)
        place = {
            "type": event_type,
            "path": f'$."{measure}"',
            "since": since_us,
            "until": until_us,
        }
        parts = blocks(sorted(customers), HISTORIES_AT_ONCE)
        async for rows in _pages(tx, _MEASURES, parts, place):
            for customer, of_customer in groupby(rows, _customer_of):
                found[customer] += cast("Iterable[Measured]", of_customer)
        return found

    async def latest(self, event_type: str, customer_id: int, count: int) -> Sequence[Fact]:
        """A customer's latest events of a type, newest first."""
        place = {"type": event_type, "customer": customer_id, "count": count}
        return [_fact(row) for row in await self._store.fetch_all(_LATEST, place)]

    async def event(self, event_type: str, business_key: str) -> Fact | None:
        """The event under a key."""
        place = {"type": event_type, "key": business_key}
        found = await self._store.fetch_all(_ONE, place)
        return _fact(found[0]) if found else None

    async def by_customer(
        self, types: Collection[str], *, since_us: int, until_us: int
    ) -> AsyncGenerator[Sequence[Fact], None]:
        """The events of some types in a time, those of one customer after those of another."""
        place = {"types": sorted(types), "since": since_us, "until": until_us}
        facts: list[Fact] = []
        scan = cast("AsyncGenerator[Sequence[Row], None]", self._store.scan(_BY_CUSTOMER, place))
        async with aclosing(scan) as found:
            async for rows in found:
                for row in rows:
                    if facts and facts[0].customer_id != row.customer_id:
                        yield facts
                        facts = []
                    facts.append(_fact(row))
        if facts:
            yield facts


async def _pages(
    tx: Transaction,
    statement: Statement,
    parts: Iterable[Sequence[int]],
    place: Mapping[str, Any],
) -> AsyncIterator[Sequence[Row]]:
    """The rows of a statement, for some customers after others, with a turn between pages.

    A page that is full ends within the history of its last customer: his goes on behind it.
    """
    start = (place["since"], "")
    waiting = deque((part, start) for part in parts)
    while waiting:
        customers, (after_us, after_key) = waiting.popleft()
        behind = {"since": after_us, "after_us": after_us, "after_key": after_key}
        rows = await tx.fetch_all(
            statement, {**place, **behind, "customers": customers, "rows": ROWS}
        )
        yield rows
        if len(rows) == ROWS:
            last = rows[-1]
            waiting.appendleft(([one for one in customers if one > last.customer_id], start))
            waiting.appendleft(([last.customer_id], (last.occurred_us, last.business_key)))
        await asyncio.sleep(0)


def _fact(row: Row) -> Fact:
    customer_id, event_type, occurred_us, business_key, attributes, ingest_us, reversed_us = row
    return Fact(
        customer_id,
        event_type,
        occurred_us,
        business_key,
        orjson.loads(attributes),
        ingest_us,
        reversed_us,
    )
