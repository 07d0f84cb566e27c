"""The Ark's database: customers in clear, and the access log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from centers.ark.access import START, Access, Entry, append
from centers.ark.domain import Held, Record, Statistics
from centers.ark.tables import access_log, customer
from mesh.clock import Clock, from_micros, to_micros
from mesh.seal import Head
from mesh.storage import Row, Store

_TOKENS = sa.select(customer.c.cif, customer.c.customer_id).where(
    customer.c.cif.in_(sa.bindparam("numbers", expanding=True))
)
_HELD = sa.select(customer).where(customer.c.customer_id.in_(sa.bindparam("ids", expanding=True)))
_INSERT = sa.insert(customer)
_REPLACE = sa.update(customer).where(customer.c.cif == sa.bindparam("number"))
_STATISTICS = sa.select(
    sa.func.count().label("customers"), sa.func.max(customer.c.import_us).label("newest")
)
_NEWEST_ACCESS = (
    sa.select(access_log.c.position, access_log.c.seal)
    .order_by(access_log.c.position.desc())
    .limit(1)
)
_ACCESSES = sa.select(access_log).order_by(access_log.c.position)
_APPEND = sa.insert(access_log)


class ArkStore:
    """Holds customers (`Vault`) and the log of accesses (`AccessLog`)."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def tokens(self, numbers: Collection[str]) -> Mapping[str, int]:
        rows = await self._store.fetch_all(_TOKENS, {"numbers": list(numbers)})
        return {row.cif: row.customer_id for row in rows}

    async def save(self, records: Sequence[Record], spare: Sequence[int]) -> Sequence[int]:
        import_us = to_micros(self._clock.now())
        async with self._store.transaction() as tx:
            rows = await tx.fetch_all(_TOKENS, {"numbers": [record.cif for record in records]})
            known = {row.cif: row.customer_id for row in rows}
            fresh = dict(zip((r.cif for r in records if r.cif not in known), spare, strict=False))
            added = [
                _values(record, import_us) | {"customer_id": fresh[record.cif]}
                for record in records
                if record.cif in fresh
            ]
            replaced = [
                _values(record, import_us) | {"number": record.cif}
                for record in records
                if record.cif in known
            ]
            if added:
                await tx.execute(_INSERT, added)
            if replaced:
                await tx.execute(_REPLACE, replaced)
        return [known.get(record.cif) or fresh[record.cif] for record in records]

    async def held(self, customer_ids: Collection[int]) -> Mapping[int, Held]:
        rows = await self._store.fetch_all(_HELD, {"ids": list(customer_ids)})
        return {row.customer_id: _held(row) for row in rows}

    async def statistics(self) -> Statistics:
        (row,) = await self._store.fetch_all(_STATISTICS)
        import_time = None if row.newest is None else from_micros(row.newest)
        return Statistics(customers=row.customers, import_time=import_time)

    async def record(self, access: Access) -> None:
        async with self._store.transaction() as tx:
            newest = await tx.fetch_all(_NEWEST_ACCESS)
            head = Head(position=newest[0].position, seal=newest[0].seal) if newest else START
            await tx.execute(_APPEND, _entry_values(append(access, head)))

    async def entries(self) -> AsyncIterator[Sequence[Entry]]:
        async for rows in self._store.scan(_ACCESSES):
            yield [_entry(row) for row in rows]


def _values(record: Record, import_us: int) -> dict[str, Any]:
    return {
        "cif": record.cif,
        "name": record.name,
        "phone": record.phone,
        "id_card": record.id_card,
        "aum_fen": record.aum_fen,
        "import_us": import_us,
    }


def _held(row: Row) -> Held:
    record = Record(
        cif=row.cif,
        name=row.name,
        phone=row.phone,
        id_card=row.id_card,
        aum_fen=row.aum_fen,
    )
    return Held(customer_id=row.customer_id, record=record, import_time=from_micros(row.import_us))


def _entry_values(entry: Entry) -> dict[str, Any]:
    access = entry.access
    return {
        "position": entry.position,
        "time_us": to_micros(access.time),
        "user": access.user,
        "service": access.service,
        "purpose": access.purpose,
        "customers": access.customers,
        "fields": ",".join(access.fields),
        "trace_id": access.trace_id,
        "seal": entry.seal,
    }


def _entry(row: Row) -> Entry:
    access = Access(
        time=from_micros(row.time_us),
        user=row.user,
        service=row.service,
        purpose=row.purpose,
        customers=row.customers,
        fields=tuple(row.fields.split(",")),
        trace_id=row.trace_id,
    )
    return Entry(position=row.position, access=access, seal=row.seal)
