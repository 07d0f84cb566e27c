"""A database of the review centre's own for each test, and what is heard of others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from centers.review.app import BLUEPRINT
from centers.review.behavior_rows import BehaviorRows
from centers.review.events import subscriptions
from engine.mesh.v1.event_pb2 import Event
from mesh.storage import SQLiteStore, migrations
from mesh.telemetry import NullTracer


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "review.db"
    assert BLUEPRINT.migrations is not None
    migrations.upgrade(path, BLUEPRINT.migrations)
    return path


@pytest.fixture
async def store(database: Path) -> AsyncIterator[SQLiteStore]:
    async with SQLiteStore(database, tracer=NullTracer()) as store:
        yield store


@pytest.fixture
def log(store: SQLiteStore) -> BehaviorRows:
    return BehaviorRows(store)


async def hear(store: SQLiteStore, events: Iterable[Event]) -> None:
    """Let the effects of events take place, all in one transaction, without an inbox."""
    react = {one.topic: one.react for one in subscriptions(BehaviorRows(store))}
    effects = [await react[event.topic](event) for event in events]
    async with store.transaction() as tx:
        for effect in effects:
            if effect is not None:
                await effect(tx)
