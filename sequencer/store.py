"""The sequencer's database: sequences, and every range that was ever granted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from collections.abc import Sequence as ListOf
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa

from mesh.clock import from_micros, to_micros
from mesh.storage import Row, Store, Transaction
from sequencer.domain import Change, Lease, LeaseState, Sequence

_metadata = sa.MetaData()
_sequence = sa.Table(
    "sequence",
    _metadata,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("start", sa.BigInteger, nullable=False),
    sa.Column("max_value", sa.BigInteger, nullable=False),
    sa.Column("last_value", sa.BigInteger, nullable=False),
    sa.Column("lease_number", sa.BigInteger, nullable=False),
    sa.Column("create_us", sa.BigInteger, nullable=False),
)
_lease = sa.Table(
    "lease",
    _metadata,
    sa.Column("sequence", sa.String(100), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True),
    sa.Column("first", sa.BigInteger, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("client_id", sa.String(300), nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("lease_us", sa.BigInteger, nullable=False),
    sa.Index("lease_first", "sequence", "first"),
    sa.Index("lease_state", "sequence", "state", "size", "first"),
)

_ONE_SEQUENCE = sa.select(_sequence).where(_sequence.c.name == sa.bindparam("of"))
_SEQUENCES = (
    sa.select(_sequence)
    .where(_sequence.c.name > sa.bindparam("after"))
    .order_by(_sequence.c.name)
    .limit(sa.bindparam("most"))
)
_ADD_SEQUENCE = sa.insert(_sequence)
_MOVE_SEQUENCE = sa.update(_sequence).where(_sequence.c.name == sa.bindparam("of"))

_OF = _lease.c.sequence == sa.bindparam("of")
_ONE_LEASE = sa.select(_lease).where(_OF, _lease.c.number == sa.bindparam("at"))
_LEASES = (
    sa.select(_lease)
    .where(_OF, _lease.c.number < sa.bindparam("before"), _lease.c.size > 0)
    .order_by(_lease.c.number.desc())
    .limit(sa.bindparam("most"))
)
_LEASE_BELOW = (
    sa.select(_lease)
    .where(_OF, _lease.c.first <= sa.bindparam("id"), _lease.c.size > 0)
    .order_by(_lease.c.first.desc())
    .limit(1)
)
_RETURNED = (
    sa.select(_lease)
    .where(_OF, _lease.c.state == LeaseState.RETURNED.value, _lease.c.size > 0)
    .order_by(_lease.c.first)
    .limit(1)
)
_ADD_LEASE = sa.insert(_lease)
_RESIZE_LEASE = sa.update(_lease).where(_OF, _lease.c.number == sa.bindparam("at"))


class SqlSequenceStore:
    """A `SequenceStore` in a service's database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @asynccontextmanager
    async def unit(self, name: str) -> AsyncIterator[SqlUnit]:
        async with self._store.transaction() as transaction:
            yield SqlUnit(transaction, name)

    async def sequence(self, name: str) -> Sequence | None:
        rows = await self._store.fetch_all(_ONE_SEQUENCE, {"of": name})
        return _as_sequence(rows[0]) if rows else None

    async def sequences(self, *, after: str, limit: int) -> ListOf[Sequence]:
        rows = await self._store.fetch_all(_SEQUENCES, {"after": after, "most": limit})
        return [_as_sequence(row) for row in rows]

    async def leases(self, name: str, *, before: int, limit: int) -> ListOf[Lease]:
        parameters = {"of": name, "before": before, "most": limit}
        rows = await self._store.fetch_all(_LEASES, parameters)
        return [_as_lease(row) for row in rows]

    async def lease_of(self, name: str, id_: int) -> Lease | None:
        rows = await self._store.fetch_all(_LEASE_BELOW, {"of": name, "id": id_})
        lease = _as_lease(rows[0]) if rows else None
        return lease if lease and id_ < lease.stop else None


class SqlUnit:
    """A `Unit` in a transaction, which holds the database's only writer."""

    def __init__(self, transaction: Transaction, name: str) -> None:
        self._transaction = transaction
        self._name = name

    async def sequence(self) -> Sequence | None:
        rows = await self._transaction.fetch_all(_ONE_SEQUENCE, {"of": self._name})
        return _as_sequence(rows[0]) if rows else None

    async def lease(self, number: int) -> Lease | None:
        parameters = {"of": self._name, "at": number}
        rows = await self._transaction.fetch_all(_ONE_LEASE, parameters)
        return _as_lease(rows[0]) if rows else None

    async def returned(self) -> Lease | None:
        rows = await self._transaction.fetch_all(_RETURNED, {"of": self._name})
        return _as_lease(rows[0]) if rows else None

    async def create(self, sequence: Sequence) -> None:
        values = {
            "name": sequence.name,
            "start": sequence.start,
            "max_value": sequence.max_value,
            "last_value": sequence.last_value,
            "lease_number": sequence.lease_number,
            "create_us": to_micros(sequence.create_time),
        }
        await self._transaction.execute(_ADD_SEQUENCE, values)

    async def apply(self, change: Change) -> None:
        moved = {
            "of": self._name,
            "last_value": change.sequence.last_value,
            "lease_number": change.sequence.lease_number,
        }
        await self._transaction.execute(_MOVE_SEQUENCE, moved)
        await self._transaction.execute(_ADD_LEASE, _lease_values(change.added))
        if change.resized is not None:
            resized = {
                "of": self._name,
                "at": change.resized.number,
                "first": change.resized.first,
                "size": change.resized.size,
            }
            await self._transaction.execute(_RESIZE_LEASE, resized)


def _as_sequence(row: Row) -> Sequence:
    return Sequence(
        name=row.name,
        start=row.start,
        max_value=row.max_value,
        last_value=row.last_value,
        lease_number=row.lease_number,
        create_time=from_micros(row.create_us),
    )


def _as_lease(row: Row) -> Lease:
    return Lease(
        sequence=row.sequence,
        number=row.number,
        first=row.first,
        size=row.size,
        client_id=row.client_id,
        state=LeaseState(row.state),
        lease_time=from_micros(row.lease_us),
    )


def _lease_values(lease: Lease) -> dict[str, Any]:
    return {
        "sequence": lease.sequence,
        "number": lease.number,
        "first": lease.first,
        "size": lease.size,
        "client_id": lease.client_id,
        "state": lease.state.value,
        "lease_us": to_micros(lease.lease_time),
    }
