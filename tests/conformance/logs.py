"""The logs of sequences that the contract tests run on, each with a sequence of the test's own."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sa

from mesh.clock import ManualClock
from mesh.redis import RedisClient
from mesh.storage import Store
from mesh.telemetry import Meters
from sequencer import ledger
from sequencer.definition import MAX_ID, Definition, Kind
from sequencer.directory import Directory, identity
from sequencer.entry import Entry, Tip
from sequencer.ledger import Stamp, Wish
from sequencer.log import EntryFilter, SequenceLog, Superseded
from sequencer.store import SqlCatalogue, SqlLog
from sequencer.store._redis import RedisLog
from sequencer.store._redis_entries import Keys
from sequencer.store._tables import METADATA, entries
from tests.conformance.stores import Place, place

BEGIN: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
LOGS: Final = [
    "sqlite",
    pytest.param("mysql", marks=pytest.mark.real),
    pytest.param("redis_server", marks=pytest.mark.real),
    pytest.param("redis_cluster", marks=pytest.mark.real),
]


@dataclass(slots=True)
class LogUnderTest:
    """A log with one sequence in it; what is appended is a minute later each time.

    `another` opens it as another server does. `lose` takes the newest entry away, as a
    store does that is put back to an older copy. `begin` is the number of the newest entry
    that is the store's own.
    """

    log: SequenceLog
    definition: Definition
    another: Callable[[], AbstractAsyncContextManager[SequenceLog]]
    lose: Callable[[], Awaitable[None]]
    begin: int = 0
    minutes: int = field(default=0)

    @property
    def uid(self) -> int:
        """The identity of the sequence."""
        return self.definition.uid

    def stamp(self) -> Stamp:
        """A mark, and a moment a minute after the one before."""
        self.minutes += 1
        time = BEGIN + timedelta(minutes=self.minutes)
        return Stamp(mark=secrets.randbits(63), time=time)

    async def tip(self) -> Tip:
        """The tip, which there is."""
        tip = await self.log.tip(self.uid)
        assert tip is not None
        return tip

    async def grant(self, size: int = 10, holder: str = "mesh:shop/1") -> Entry:
        """Append a grant to a client that had none before."""
        wish = Wish(holder=holder, size=size)
        tip = await self.tip()
        return await self.append(tip, ledger.grant(self.definition, tip, wish, self.stamp()))

    async def take_back(self, lease: Entry, used: int) -> Entry:
        """Append the return of a lease's tail."""
        tip = await self.tip()
        entry = ledger.take_back(tip, lease, used, self.stamp())
        assert entry is not None
        return await self.append(tip, entry)

    async def append(self, after: Tip, entry: Entry) -> Entry:
        """Append one entry."""
        await self.log.append(self.uid, after, [entry])
        return entry


@asynccontextmanager
async def log_under_test(
    kind: str, request: pytest.FixtureRequest, folder: Path
) -> AsyncIterator[LogUnderTest]:
    """A log of a kind, with a new sequence."""
    in_redis = kind.startswith("redis")
    where = place("sqlite" if in_redis else kind, request, folder)
    name = f"contract.s{secrets.token_hex(6)}"
    definition = Definition(
        uid=identity(name),
        name=name,
        kind=Kind.SEGMENT,
        start=1,
        min_value=1,
        max_value=MAX_ID,
        increment=1,
        cycle=False,
        create_time=BEGIN,
        retention_days=400,
    )
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(where.open())
        await where.create(store, *METADATA.sorted_tables)
        made = await Directory(SqlCatalogue(store), ManualClock(BEGIN)).add(definition, "ops/rpc")
        assert made is not None
        if in_redis:
            redis = RedisClient(request.getfixturevalue(kind).url, timeout_s=5.0)
            await stack.enter_async_context(redis)
            yield await _moved(redis, store, definition)
            return
        yield LogUnderTest(
            log=SqlLog(store),
            definition=definition,
            another=lambda: _another(where),
            lose=lambda: _lose_newest(store, definition.uid),
        )


async def _moved(redis: RedisClient, store: Store, definition: Definition) -> LogUnderTest:
    """A log that has just gone from its database to Redis."""

    def another() -> RedisLog:
        return RedisLog(redis, store, ManualClock(BEGIN), Meters())

    async def lose() -> None:
        newest = await one.tip()
        found = await one.log.entries(one.uid, before=newest.number, limit=1, only=EntryFilter())
        keys, tip = Keys(one.uid), found[0].tip
        state = {"number": tip.number, "mark": tip.mark, "position": tip.position}
        await redis.execute("ZREMRANGEBYSCORE", keys.log, newest.number, newest.number)
        await redis.execute("HSET", keys.tip, *(word for pair in state.items() for word in pair))

    one = LogUnderTest(log=another(), definition=definition, another=another, lose=lose)
    with pytest.raises(Superseded):
        await one.grant()
    one.begin = (await one.tip()).number
    return one


@asynccontextmanager
async def _another(where: Place) -> AsyncIterator[SequenceLog]:
    async with where.open() as store:
        yield SqlLog(store)


async def _lose_newest(store: Store, uid: int) -> None:
    tip = await SqlLog(store).tip(uid)
    assert tip is not None
    gone = sa.delete(entries).where(entries.c.sequence == uid, entries.c.number == tip.number)
    await store.execute(gone)
