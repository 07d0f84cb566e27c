"""The log forgets what may go, and nothing that somebody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from mesh.bus import tables
from mesh.bus.app import BLUEPRINT
from mesh.bus.domain import GroupKey, Settlement
from mesh.bus.retention import Retention
from mesh.bus.store import EventStore, GroupStore
from mesh.clock import ManualClock
from mesh.storage import SQLiteOptions, SQLiteStore, migrations
from mesh.telemetry import NullTracer

WEEK = timedelta(days=7)
DAY_S = 86_400.0


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A migrated database."""
    path = tmp_path / "bus.db"
    assert BLUEPRINT.migrations is not None
    migrations.upgrade(path, BLUEPRINT.migrations)
    return path


@pytest.fixture
async def store(database: Path) -> AsyncIterator[SQLiteStore]:
    patient = SQLiteOptions(statement_limit_s=60.0)  # on a busy machine too
    async with SQLiteStore(database, tracer=NullTracer(), options=patient) as opened:
        yield opened


class Log:
    """A log with groups, on a clock that the test moves."""

    def __init__(self, store: SQLiteStore) -> None:
        self.clock = ManualClock()
        self.events = EventStore(store)
        self.groups = GroupStore(store)
        self.retention = Retention(self.events, self.groups, WEEK, self.clock)

    async def append(self, topic: str, count: int) -> int:
        return await self.events.append([(topic, b"event")] * count, self.clock.now())

    async def settle(self, group: str, topic: str, position: int) -> None:
        key = GroupKey(group=group, topic=topic)
        await self.groups.settle(key, Settlement(position=position), self.clock.now())

    async def places(self, topic: str = "") -> list[int]:
        return [logged.position for logged in await self.events.after(topic, 0, 5_000)]


@pytest.fixture
def log(store: SQLiteStore) -> Log:
    return Log(store)


async def test_migrations_make_the_tables(store: SQLiteStore, database: Path) -> None:
    """The revisions lead to the very tables that the statements are written for."""
    assert BLUEPRINT.migrations is not None
    migrations.check(database, BLUEPRINT.migrations, tables.metadata)


async def test_what_is_old_and_consumed_is_forgotten(log: Log) -> None:
    """Batch after batch; what is young stays, consumed or not."""
    await log.append("orders", 1_200)
    log.clock.advance(8 * DAY_S)
    last = await log.append("orders", 3)
    await log.settle("shop.tasks", "orders", last)
    assert await log.retention.purge() == 1_200
    assert await log.places() == [1_201, 1_202, 1_203]
    log.clock.advance(6 * DAY_S)
    assert await log.retention.purge() == 0


async def test_what_a_group_has_not_had_is_kept_however_old(log: Log) -> None:
    """The slowest group decides, for its own topic alone."""
    await log.append("orders", 700)
    await log.append("news", 700)
    await log.settle("shop.fast", "orders", 700)
    await log.settle("shop.slow", "orders", 10)
    await log.settle("shop.fast", "news", 1_400)
    log.clock.advance(400 * DAY_S)
    assert await log.retention.purge() == 710
    assert await log.places("news") == []
    assert await log.places("orders") == [*range(11, 701)]


async def test_others_have_their_turn_while_the_log_is_looked_through(log: Log) -> None:
    """However much of it a slow group keeps."""
    await log.append("orders", 2_000)
    await log.settle("shop.slow", "orders", 0)
    log.clock.advance(8 * DAY_S)
    turns = 0

    async def ticking() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    ticker = asyncio.create_task(ticking())
    assert await log.retention.purge() == 0
    ticker.cancel()
    assert turns >= 4


async def test_a_topic_that_nobody_consumes_is_kept_for_its_time(log: Log) -> None:
    """A group that comes within it finds all of it."""
    await log.append("orders", 5)
    log.clock.advance(6 * DAY_S)
    assert await log.retention.purge() == 0
    log.clock.advance(2 * DAY_S)
    assert await log.retention.purge() == 5


async def test_places_go_on_after_all_was_forgotten(log: Log) -> None:
    """Else a group would take new events for old ones."""
    await log.append("orders", 5)
    log.clock.advance(8 * DAY_S)
    await log.retention.purge()
    assert await log.append("orders", 1) == 6
