"""The record of a call is published with the call's first effect, and with that alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from google.protobuf.wrappers_pb2 import StringValue

from engine.mesh.v1.event_pb2 import Event
from mesh.storage import (
    IdempotentCall,
    IntegrityViolation,
    Replayed,
    SQLiteStore,
    StoreUnavailable,
    call_record,
    idempotent_call,
)


@dataclass(slots=True)
class Record:
    """A record of a call."""

    key: str
    taken: bool = False

    def event(self) -> Event:
        return Event(topic="audit", key=self.key)


@contextmanager
def recorded(key: str = "call") -> Iterator[Record]:
    """As if the block served an audited call."""
    record = Record(key)
    token = call_record.set(record)
    try:
        yield record
    finally:
        call_record.reset(token)


async def add(store: SQLiteStore, item: sa.Table, number: int, parent: int | None = None) -> None:
    async with store.transaction() as tx:
        await tx.execute(sa.insert(item), {"id": number, "parent": parent})


async def keys(store: SQLiteStore) -> list[str]:
    """What was published, in its order."""
    return [Event.FromString(raw).key for _, raw in await store.outbox.read(100)]


async def test_the_first_of_several_transactions_takes_the_record(
    store: SQLiteStore, item: sa.Table
) -> None:
    """Transactions outside the call have none."""
    with recorded() as record:
        await add(store, item, 1)
        assert record.taken
        await add(store, item, 2)
    await add(store, item, 3)
    assert await keys(store) == ["call"]


async def test_the_record_comes_after_what_its_transaction_published(store: SQLiteStore) -> None:
    """What a call did is told before that it was done."""
    with recorded():
        async with store.transaction() as tx:
            tx.publish(Event(topic="action", key="effect"))
    assert await keys(store) == ["effect", "call"]


async def test_a_transaction_that_is_undone_leaves_the_record(
    store: SQLiteStore, item: sa.Table
) -> None:
    """It had no effect to be recorded; another try has."""
    await add(store, item, 1)
    with recorded() as record:
        with pytest.raises(IntegrityViolation):
            await add(store, item, 1)
        assert not record.taken
        await add(store, item, 2)
    assert await keys(store) == ["call"]


async def test_a_commit_that_fails_leaves_the_records_of_its_group(
    store: SQLiteStore, item: sa.Table
) -> None:
    """None was kept, and none is lost: whoever waits for them may write them again."""

    async def call(number: int, parent: int | None = None) -> Record:
        with recorded(str(number)) as record, pytest.raises(StoreUnavailable):
            await add(store, item, number, parent)
        return record

    records = await asyncio.gather(call(1), call(2, parent=99))
    assert [record.taken for record in records] == [False, False]
    assert await keys(store) == []


async def test_a_repeated_call_had_its_record_with_its_effect(store: SQLiteStore) -> None:
    """It counts as taken, so that nobody writes it again."""

    async def call() -> None:
        idempotent_call.set(
            IdempotentCall(caller="rm", method="/m", request_id="r-1", request_hash=b"1")
        )
        async with store.transaction() as tx:
            tx.answer(StringValue(value="done"))

    with recorded("first"):
        await asyncio.create_task(call())
    with recorded("second") as record:
        with pytest.raises(Replayed):
            await asyncio.create_task(call())
        assert record.taken
    assert await keys(store) == ["first"]
